/** One trace as the views share it, and what is selected in it. */
import type { Agent, Failure, Graph, Message, SpanSkeleton, TraceSummary } from '@/api/types'
import { agentColour, USER } from '@/shared/palette'
import { micros } from '@/shared/time'

export type Selection =
  | { kind: 'none' }
  | { kind: 'span'; spanId: string }
  | { kind: 'message'; messageId: string }
  | { kind: 'agent'; name: string }
  | { kind: 'edge'; sender: string; recipient: string }

export const NOTHING: Selection = { kind: 'none' }

export type View = 'overview' | 'graph' | 'sequence' | 'timeline' | 'transcript' | 'failures'

export const VIEWS: readonly View[] = ['overview', 'graph', 'sequence', 'timeline', 'transcript', 'failures']

const SELECTION_KEYS = ['span', 'message', 'agent', 'to'] as const

/** What the page's address says is selected. */
export function selectionOf(params: URLSearchParams): Selection {
  const span = params.get('span')
  const message = params.get('message')
  const agent = params.get('agent')
  const to = params.get('to')
  if (message) return { kind: 'message', messageId: message }
  if (span) return { kind: 'span', spanId: span }
  if (agent && to) return { kind: 'edge', sender: agent, recipient: to }
  if (agent) return { kind: 'agent', name: agent }
  return NOTHING
}

/** The address with another selection; everything else in it stays. */
export function withSelection(params: URLSearchParams, selection: Selection): URLSearchParams {
  const next = new URLSearchParams(params)
  for (const key of SELECTION_KEYS) next.delete(key)
  switch (selection.kind) {
    case 'span':
      next.set('span', selection.spanId)
      break
    case 'message':
      next.set('message', selection.messageId)
      break
    case 'agent':
      next.set('agent', selection.name)
      break
    case 'edge':
      next.set('agent', selection.sender)
      next.set('to', selection.recipient)
      break
  }
  return next
}

export function viewOf(params: URLSearchParams): View {
  const view = params.get('view')
  return VIEWS.find((known) => known === view) ?? 'overview'
}

/** A message with its moment relative to the start of the trace, in microseconds. */
export interface TimedMessage extends Message {
  atUs: number
  index: number
}

export interface TraceData {
  summary: TraceSummary
  skeleton: SpanSkeleton
  agents: readonly Agent[]
  messages: readonly TimedMessage[]
  graph: Graph
  failures: readonly Failure[]
  /** Participants in order of appearance, the user first. */
  participants: readonly string[]
  colourOf: (name: string) => string
  rowOf: ReadonlyMap<string, number>
  messageOf: ReadonlyMap<string, TimedMessage>
  messagesOfSpan: ReadonlyMap<string, readonly TimedMessage[]>
  /** Failures that are shown, by what they are pinned to. */
  failuresOfSpan: ReadonlyMap<string, readonly Failure[]>
  failuresOfMessage: ReadonlyMap<string, readonly Failure[]>
}

/** Index what the server sent. O(spans + messages): once per change, not per render. */
export function gather(
  summary: TraceSummary,
  skeleton: SpanSkeleton,
  agents: readonly Agent[],
  messages: readonly Message[],
  graph: Graph,
  failures: readonly Failure[],
): TraceData {
  const origin = micros(skeleton.start_time)
  const timed = messages.map((m, index) => ({ ...m, index, atUs: micros(m.sent_at) - origin }))
  const participants = participantsOf(agents, timed, skeleton.agents)
  const colours = new Map(participants.filter((name) => name !== USER).map((name, i) => [name, agentColour(i)]))
  const standing = failures.filter((f) => f.shown)
  return {
    summary,
    skeleton,
    agents,
    messages: timed,
    graph,
    failures,
    participants,
    colourOf: (name) => colours.get(name) ?? agentColour(-1),
    rowOf: new Map(skeleton.span_id.map((id, row) => [id, row])),
    messageOf: new Map(timed.map((m) => [m.message_id, m])),
    messagesOfSpan: groupBy(timed, (m) => m.span_id),
    failuresOfSpan: groupBy(standing, (f) => f.span_id),
    failuresOfMessage: groupBy(standing, (f) => f.message_id),
  }
}

export function groupBy<T>(items: Iterable<T>, key: (item: T) => string | null): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const name = key(item)
    if (name === null) continue
    const group = groups.get(name)
    if (group) group.push(item)
    else groups.set(name, [item])
  }
  return groups
}

function participantsOf(agents: readonly Agent[], messages: readonly Message[], spanAgents: readonly string[]): string[] {
  const names = new Set<string>()
  const talk = new Set<string>()
  for (const m of messages) {
    talk.add(m.sender)
    talk.add(m.recipient)
    for (const name of m.audience) talk.add(name)
  }
  if (talk.has(USER)) names.add(USER)
  for (const agent of agents) names.add(agent.name)
  for (const name of [...talk, ...spanAgents]) names.add(name)
  return [...names]
}

/** What shows as related when something is selected. */
export interface Links {
  spans: ReadonlySet<string>
  messages: ReadonlySet<string>
  agents: ReadonlySet<string>
  edges: ReadonlySet<string>
}

export function edgeKey(sender: string, recipient: string): string {
  return JSON.stringify([sender, recipient])
}

/** Everything the selection touches. */
export function linksOf(selection: Selection, data: TraceData): Links {
  const spans = new Set<string>()
  const messages = new Set<string>()
  const agents = new Set<string>()
  const edges = new Set<string>()
  const addMessage = (m: TimedMessage) => {
    messages.add(m.message_id)
    agents.add(m.sender)
    agents.add(m.recipient)
    edges.add(edgeKey(m.sender, m.recipient))
    for (const name of m.audience) if (name !== m.recipient) edges.add(edgeKey(m.sender, name))
  }
  switch (selection.kind) {
    case 'message': {
      const message = data.messageOf.get(selection.messageId)
      if (message) {
        addMessage(message)
        spans.add(message.span_id)
      }
      break
    }
    case 'span': {
      spans.add(selection.spanId)
      const agent = agentOfSpan(selection.spanId, data)
      if (agent) agents.add(agent)
      for (const m of data.messagesOfSpan.get(selection.spanId) ?? []) {
        messages.add(m.message_id)
        edges.add(edgeKey(m.sender, m.recipient))
      }
      break
    }
    case 'agent':
      agents.add(selection.name)
      for (const m of data.messages) {
        if (m.sender !== selection.name && m.recipient !== selection.name && !m.audience.includes(selection.name)) continue
        messages.add(m.message_id)
        edges.add(edgeKey(m.sender, m.recipient))
      }
      break
    case 'edge':
      agents.add(selection.sender)
      agents.add(selection.recipient)
      edges.add(edgeKey(selection.sender, selection.recipient))
      for (const m of messagesBetween(data, selection.sender, selection.recipient)) {
        messages.add(m.message_id)
        spans.add(m.span_id)
      }
      break
  }
  return { spans, messages, agents, edges }
}

export function messagesBetween(data: TraceData, sender: string, recipient: string): TimedMessage[] {
  return data.messages.filter((m) => m.sender === sender && (m.recipient === recipient || m.audience.includes(recipient)))
}

export function agentOfSpan(spanId: string, data: TraceData): string | null {
  const row = data.rowOf.get(spanId)
  if (row === undefined) return null
  return data.skeleton.agents[data.skeleton.agent[row] ?? -1] ?? null
}

/** The step that decided the failure, if one is known and nobody rejected it. */
export function decisiveFailure(failures: readonly Failure[]): Failure | null {
  const standing = failures.filter((f) => f.shown)
  return standing.find((f) => f.decisive) ?? standing.find((f) => f.severity === 'critical' || f.severity === 'high') ?? null
}

/** What clicking a failure selects: the message it is pinned to, else the span, else the agent. */
export function targetOf(failure: Failure, data: Pick<TraceData, 'messageOf' | 'rowOf'>): Selection {
  if (failure.message_id && data.messageOf.has(failure.message_id)) return { kind: 'message', messageId: failure.message_id }
  if (failure.span_id && data.rowOf.has(failure.span_id)) return { kind: 'span', spanId: failure.span_id }
  if (failure.agent) return { kind: 'agent', name: failure.agent }
  return NOTHING
}

/** The message from before which a failure can be replayed: its own, else the last its step led up to. */
export function messageBefore(failure: Failure, data: Pick<TraceData, 'messageOf' | 'messagesOfSpan'>): string | null {
  const of = failure.message_id ? data.messageOf.get(failure.message_id) : failure.span_id ? data.messagesOfSpan.get(failure.span_id)?.[0] : undefined
  return of?.checkpoint_id ? of.message_id : null
}
