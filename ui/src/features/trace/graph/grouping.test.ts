import { expect, test } from 'vitest'
import type { GraphEdge, GraphNode } from '@/api/types'
import { groupSimilar, pattern } from './grouping'

const node = (name: string): GraphNode => ({
  name, role: 'r', framework: null, spans: 2, tokens: 10, tokens_in: 5, tokens_out: 5, cost_usd: null, errors: 1, failures: 0,
  messages_in: 1, messages_out: 1, duration_ms: 0, centrality: { degree: 0, in_degree: 0, out_degree: 0, betweenness: 0, pagerank: 0 },
})
const edge = (sender: string, recipient: string, provenance: GraphEdge['provenance'] = 'observed'): GraphEdge => ({
  sender, recipient, count: 2, types: { task: 2 }, provenance, errors: 0, tokens: 3,
})
const workers = Array.from({ length: 8 }, (_, i) => `worker-${String(i)}`)
const nodes = ['boss', ...workers].map(node)
const edges = workers.map((w) => edge('boss', w)).concat(edge('worker-1', 'worker-2', 'inferred'))

test('agents that differ by a number share a card, and what they said adds up', () => {
  const grouped = groupSimilar(nodes, edges, new Set())

  expect(grouped.nodes.map((n) => [n.name, n.spans])).toEqual([['boss', 2], ['worker-#', 16]])
  expect(grouped.edges.map((e) => [e.sender, e.recipient, e.count])).toEqual([['boss', 'worker-#', 16], ['worker-#', 'worker-#', 2]])
  expect(grouped.members.get('worker-#')).toHaveLength(8)
  expect(grouped.cardOf('worker-5')).toBe('worker-#')
})

test('an opened group shows its agents', () => {
  expect(groupSimilar(nodes, edges, new Set(['worker-#'])).nodes).toHaveLength(9)
})

test('a few alike, and names without a number, are left alone', () => {
  const few = groupSimilar(nodes.slice(0, 4), edges, new Set())

  expect(few.nodes).toHaveLength(4)
  expect(few.members.size).toBe(0)
  expect(pattern('critic')).toBe('critic')
})
