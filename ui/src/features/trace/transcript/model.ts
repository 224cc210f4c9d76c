/** The run as a text to read: messages, and between them the model and tool calls that led to them. */
import type { TimedMessage, TraceData } from '../model'

export type Entry =
  | { kind: 'message'; key: string; atUs: number; message: TimedMessage }
  | { kind: 'span'; key: string; atUs: number; row: number }

export interface Wanted {
  /** Only what this agent said, heard or did; empty for everybody. */
  agent: string
  /** Model and tool calls too. */
  calls: boolean
}

const CALLS = new Set(['llm', 'tool', 'retriever'])

/** Entries in order of time; a message sent at the start of a span comes before the span. */
export function transcript(data: TraceData, wanted: Wanted): Entry[] {
  const { skeleton } = data
  const entries: Entry[] = []
  for (const message of data.messages) {
    if (wanted.agent && !concerns(message, wanted.agent)) continue
    entries.push({ kind: 'message', key: message.message_id, atUs: message.atUs, message })
  }
  if (wanted.calls) {
    for (let row = 0; row < skeleton.span_id.length; row++) {
      if (!CALLS.has(skeleton.kinds[skeleton.kind[row] ?? -1] ?? '')) continue
      if (wanted.agent && skeleton.agents[skeleton.agent[row] ?? -1] !== wanted.agent) continue
      entries.push({ kind: 'span', key: skeleton.span_id[row] ?? '', atUs: skeleton.start_us[row] ?? 0, row })
    }
    entries.sort((a, b) => a.atUs - b.atUs || (a.kind === b.kind ? 0 : a.kind === 'message' ? -1 : 1))
  }
  return entries
}

function concerns(message: TimedMessage, agent: string): boolean {
  return message.sender === agent || message.recipient === agent || message.audience.includes(agent)
}

/** What an agent knew at a moment: the messages that had reached it or that it had sent itself. */
export function knownAt(entries: readonly Entry[], atUs: number): { known: number; later: number } {
  let known = 0
  for (const entry of entries) if (entry.atUs <= atUs) known++
  return { known, later: entries.length - known }
}
