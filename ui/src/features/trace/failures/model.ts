/** Failures as the panel shows them: by category, the decisive one first, the doubtful ones apart. */
import type { Failure, NewFailure, ReviewChange } from '@/api/types'
import { nameOf } from '@/shared/failureNames'
import type { Selection, TraceData } from '../model'

const SEVERITIES: readonly Failure['severity'][] = ['critical', 'high', 'medium', 'low']

/** Failures of one kind: the same thing again and again is one thing to the reader. */
export interface Kind {
  name: string
  failures: Failure[]
}

export interface Group {
  category: string
  kinds: Kind[]
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
  const sure = standing.filter((f) => f.shown).sort(worse)
  const groups: Group[] = []
  for (const failure of sure) {
    let group = groups.find((g) => g.category === failure.category)
    if (!group) groups.push((group = { category: failure.category, kinds: [] }))
    const name = nameOf(failure)
    const kind = group.kinds.find((k) => k.name === name)
    if (kind) kind.failures.push(failure)
    else group.kinds.push({ name, failures: [failure] })
  }
  return { groups, doubtful: standing.filter((f) => !f.shown).sort(worse), rejected }
}

function worse(a: Failure, b: Failure): number {
  return (
    Number(b.decisive) - Number(a.decisive) ||
    SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    b.confidence - a.confidence
  )
}

/** Whether a person added it. */
export function isByHand(failure: Failure): boolean {
  return failure.classifier === 'person'
}

/** Who found it, as people read it. */
export function finders(failure: Failure): string {
  return isByHand(failure) ? `added by ${failure.reviewer ?? 'a person'}` : `found by ${[failure.classifier, ...failure.also_by].join(', ')}`
}

/** What of a verdict is new, or null. */
export function changeOf(failure: Failure, verdict: { mode: string; comment: string; decisive: boolean }): ReviewChange | null {
  const change: ReviewChange = {}
  if (verdict.mode !== failure.mode) change.mode = verdict.mode
  if (verdict.comment !== failure.comment) change.comment = verdict.comment
  if (verdict.decisive !== failure.decisive) {
    change.decisive = verdict.decisive
    // Only what a person stands by is said to have decided the run.
    if (verdict.decisive) change.review = 'confirmed'
  }
  return Object.keys(change).length ? change : null
}

/** Where a new finding is pinned, and what that place is called. */
export function placeOf(selection: Selection, data: Pick<TraceData, 'messageOf' | 'rowOf' | 'skeleton'>): { name: string; pinned: Partial<NewFailure> } {
  if (selection.kind === 'message') {
    const message = data.messageOf.get(selection.messageId)
    if (message) return { name: `the message from ${message.sender} to ${message.recipient}`, pinned: { message_id: message.message_id } }
  }
  if (selection.kind === 'span') {
    const row = data.rowOf.get(selection.spanId)
    if (row !== undefined) return { name: `the span ${data.skeleton.name[row] ?? selection.spanId}`, pinned: { span_id: selection.spanId } }
  }
  if (selection.kind === 'agent') return { name: `the agent ${selection.name}`, pinned: { agent: selection.name } }
  if (selection.kind === 'edge') return { name: `the agent ${selection.sender}`, pinned: { agent: selection.sender } }
  return { name: 'the run as a whole', pinned: {} }
}
