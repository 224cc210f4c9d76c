/** Agents that differ only by a number, shown as one card until it is opened. */
import type { GraphEdge, GraphNode } from '@/api/types'
import { edgeKey } from '../model'

/** Fewer alike than this are no crowd. */
const CROWD = 5

export interface Grouped {
  nodes: GraphNode[]
  edges: GraphEdge[]
  /** The names of each group's agents. */
  members: ReadonlyMap<string, readonly string[]>
  /** The card on which an agent is: its own, or its group's. */
  cardOf: (name: string) => string
}

/** `worker-012` and `worker-013` are both `worker-#`. */
export function pattern(name: string): string {
  return name.replace(/\d+/g, '#')
}

/** Join agents of the same pattern, but those whose pattern is in `open`. */
export function groupSimilar(nodes: readonly GraphNode[], edges: readonly GraphEdge[], open: ReadonlySet<string>): Grouped {
  const alike = new Map<string, string[]>()
  for (const { name } of nodes) {
    const key = pattern(name)
    if (key !== name && !open.has(key)) alike.set(key, [...(alike.get(key) ?? []), name])
  }
  const members = new Map([...alike].filter(([, names]) => names.length >= CROWD))
  const cardOf = (name: string) => (members.has(pattern(name)) ? pattern(name) : name)
  const cards = new Map<string, GraphNode>()
  for (const node of nodes) {
    const card = cardOf(node.name)
    const known = cards.get(card)
    cards.set(card, known ? join(known, node) : { ...node, name: card })
  }
  const lines = new Map<string, GraphEdge>()
  for (const edge of edges) {
    const sender = cardOf(edge.sender)
    const recipient = cardOf(edge.recipient)
    const key = edgeKey(sender, recipient)
    const known = lines.get(key)
    lines.set(key, known ? joinEdges(known, edge) : { ...edge, sender, recipient })
  }
  return { nodes: [...cards.values()], edges: [...lines.values()], members, cardOf }
}

function join(a: GraphNode, b: GraphNode): GraphNode {
  return {
    ...a,
    role: null,
    spans: a.spans + b.spans,
    tokens: a.tokens + b.tokens,
    tokens_in: a.tokens_in + b.tokens_in,
    tokens_out: a.tokens_out + b.tokens_out,
    errors: a.errors + b.errors,
    failures: a.failures + b.failures,
    messages_in: a.messages_in + b.messages_in,
    messages_out: a.messages_out + b.messages_out,
  }
}

function joinEdges(a: GraphEdge, b: GraphEdge): GraphEdge {
  const types = { ...a.types }
  for (const [type, count] of Object.entries(b.types)) types[type] = (types[type] ?? 0) + count
  return {
    ...a,
    count: a.count + b.count,
    types,
    provenance: a.provenance === b.provenance ? a.provenance : 'mixed',
    errors: a.errors + b.errors,
    tokens: a.tokens + b.tokens,
  }
}
