/** Failures as the panel shows them: by category, the decisive one first, the doubtful ones apart. */
import type { Failure } from '@/api/types'

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

/** What a person calls a mode, a category or a subcategory. */
export function title(name: string): string {
  if (MAST[name]) return MAST[name]
  const words = name.replace(/[_-]+/g, ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** The name of a failure: MAST's where it has one, else its subcategory. */
export function nameOf(failure: Failure): string {
  return MAST[failure.mode] ?? title(failure.subcategory || failure.mode)
}

/** The code before the name, where the mode has one. */
export function codeOf(failure: Failure): string | null {
  return MAST[failure.mode] ? failure.mode : null
}

const SEVERITIES: readonly Failure['severity'][] = ['critical', 'high', 'medium', 'low']

/** Below this a finding is offered, not shown: a panel that cries wolf is closed for good. */
export const SURE = 0.5

export interface Group {
  category: string
  failures: Failure[]
}

export interface Sorted {
  groups: Group[]
  doubtful: Failure[]
  rejected: Failure[]
}

/** Arrange failures for the panel. */
export function arrange(failures: readonly Failure[]): Sorted {
  const rejected = failures.filter((f) => f.review === 'rejected')
  const standing = failures.filter((f) => f.review !== 'rejected')
  const isSure = (f: Failure) => f.decisive || f.review === 'confirmed' || f.confidence >= SURE
  const sure = standing.filter(isSure).sort(worse)
  const groups: Group[] = []
  for (const failure of sure) {
    const group = groups.find((g) => g.category === failure.category)
    if (group) group.failures.push(failure)
    else groups.push({ category: failure.category, failures: [failure] })
  }
  return { groups, doubtful: standing.filter((f) => !isSure(f)).sort(worse), rejected }
}

function worse(a: Failure, b: Failure): number {
  return (
    Number(b.decisive) - Number(a.decisive) ||
    SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    b.confidence - a.confidence
  )
}
