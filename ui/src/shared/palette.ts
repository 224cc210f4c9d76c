/** Which colour an agent, a kind of span or a status has. Values are CSS variables of the theme. */

export const AGENT_COLOURS = 12

/** The participant that stands for whoever started the run; no agent, so it has no colour. */
export const USER = 'user'

/** Agents get colours in order of appearance, so that the first twelve of a trace all differ. */
export function agentColour(index: number): string {
  return index < 0 ? 'var(--agent-none)' : `var(--agent-${String(index % AGENT_COLOURS)})`
}

/** A colour for a name met outside of a trace: the same on every page. */
export function nameColour(name: string): string {
  let hash = 0
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0
  return agentColour(Math.abs(hash) % AGENT_COLOURS)
}

const KIND_COLOURS: Record<string, string> = {
  workflow: 'var(--agent-10)',
  agent: 'var(--agent-0)',
  llm: 'var(--agent-4)',
  tool: 'var(--agent-2)',
  retriever: 'var(--agent-5)',
  handoff: 'var(--agent-1)',
  other: 'var(--agent-none)',
}

export function kindColour(kind: string): string {
  return KIND_COLOURS[kind] ?? 'var(--agent-none)'
}

/** The value behind `var(--name)`, for canvas. */
export function resolveColour(css: string, element: Element = document.documentElement): string {
  const name = /^var\((--[\w-]+)\)$/.exec(css)?.[1]
  return name ? getComputedStyle(element).getPropertyValue(name).trim() || '#888888' : css
}
