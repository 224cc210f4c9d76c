/** What people call a failure's mode, category or subcategory. */

/** MAST's modes in their own numbering (Cemri et al. 2025, arXiv 2503.13657). */
const MAST: Record<string, string> = {
  '1.1': 'Disobeyed task specification',
  '1.2': 'Disobeyed role specification',
  '1.3': 'Step repetition',
  '1.4': 'Loss of conversation history',
  '1.5': 'Unaware of termination conditions',
  '2.1': 'Conversation reset',
  '2.2': 'Failed to ask for clarification',
  '2.3': 'Task derailment',
  '2.4': 'Information withholding',
  '2.5': 'Ignored other agent’s input',
  '2.6': 'Reasoning–action mismatch',
  '3.1': 'Premature termination',
  '3.2': 'No or incomplete verification',
  '3.3': 'Incorrect verification',
}

interface Named {
  mode: string
  subcategory: string
}

/** `tool_error_ignored` becomes `Tool error ignored`; a MAST code its name. */
export function title(name: string): string {
  if (MAST[name]) return MAST[name]
  // Where underscores part the words, a hyphen is part of one: `inter-agent_misalignment`.
  const words = name.replace(name.includes('_') ? /_+/g : /-+/g, ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** The name of a failure: MAST's where it has one, else its subcategory. */
export function nameOf(failure: Named): string {
  return MAST[failure.mode] ?? title(failure.subcategory || failure.mode)
}

/** The code before the name, where the mode has one. */
export function codeOf(failure: Named): string | null {
  return MAST[failure.mode] ? failure.mode : null
}

/** What the trace list filters by to find this kind of failure. */
export function filterOf(failure: Named): string {
  return codeOf(failure) ?? (failure.subcategory || failure.mode)
}
