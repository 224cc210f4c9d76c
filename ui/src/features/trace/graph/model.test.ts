import { expect, test } from 'vitest'
import type { GraphEdge, GraphNode } from '@/api/types'
import { contains, overlaps } from './geometry'
import { placeInLayers } from './layered'
import type { Picture } from './model'
import { cardWidth, edgeWidth, found, mainType, placeByForce } from './model'

const measure = (text: string) => text.length * 7

function node(name: string): GraphNode {
  return {
    name, role: null, framework: null, spans: 1, tokens: 0, tokens_in: 0, tokens_out: 0, cost_usd: null, errors: 0,
    failures: 0, messages_in: 0, messages_out: 0, duration_ms: 0,
    centrality: { degree: 0, in_degree: 0, out_degree: 0, betweenness: 0, pagerank: 0 },
  }
}

function edge(sender: string, recipient: string, count = 1): GraphEdge {
  return { sender, recipient, count, types: { task: count }, provenance: 'observed', errors: 0, tokens: 0 }
}

const team = ['user', 'supervisor', 'researcher', 'writer', 'critic', 'publisher'].map(node)
const talk = [
  edge('user', 'supervisor'), edge('supervisor', 'researcher', 3), edge('researcher', 'supervisor', 3),
  edge('supervisor', 'writer', 2), edge('writer', 'supervisor', 2), edge('supervisor', 'critic'),
  edge('critic', 'supervisor'), edge('supervisor', 'publisher'), edge('supervisor', 'user'),
]

function touching(picture: Picture): string[] {
  const boxes = [...picture.nodes.map((n) => ({ ...n, id: n.node.name })), ...picture.edges.map((e) => ({ ...e.label, id: e.key }))]
  return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => overlaps(a, b)).map((b) => `${a.id} / ${b.id}`))
}

test('no card and no number covers another, by force or in layers', () => {
  expect(touching(placeByForce(team, talk, 1.4, measure))).toEqual([])
  expect(touching(placeInLayers(team, talk, measure, false))).toEqual([])
})

test('no line runs behind an agent that is not its own', () => {
  const picture = placeByForce(team, talk, 1.4, measure)

  for (const line of picture.edges) {
    const [x, y] = (/Q([\d.-]+),([\d.-]+)/.exec(line.path)?.slice(1) ?? []).map(Number)
    expect(x).toBeTypeOf('number')
    for (const other of picture.nodes) {
      if (other.node.name === line.edge.sender || other.node.name === line.edge.recipient) continue
      expect(contains(other, { x: line.label.x, y: line.label.y })).toBe(false)
    }
    expect(y).not.toBeNaN()
  }
})

test('the same graph is drawn the same way', () => {
  expect(placeByForce(team, talk, 1.4, measure)).toEqual(placeByForce(team, talk, 1.4, measure))
})

test('agents that have a place keep it when another one arrives', () => {
  const first = placeByForce(team.slice(0, 4), talk, 1.4, measure)
  const places = new Map(first.nodes.map((placed) => [placed.node.name, { x: placed.x, y: placed.y }]))

  const grown = placeByForce(team, talk, 1.4, measure, places)

  for (const placed of grown.nodes) {
    const before = places.get(placed.node.name)
    if (before) expect(Math.hypot(placed.x - before.x, placed.y - before.y)).toBeLessThan(120)
  }
  expect(touching(grown)).toEqual([])
})

test('layers put whoever speaks first on top', () => {
  const picture = placeInLayers(team, talk, measure, false)
  const y = (name: string) => picture.nodes.find((n) => n.node.name === name)?.y ?? 0

  expect(y('user')).toBeLessThan(y('supervisor'))
  expect(y('supervisor')).toBeLessThan(y('critic'))
})

test('an agent that talks to itself and one nobody talks to are drawn', () => {
  const picture = placeByForce([node('a'), node('b')], [edge('a', 'a', 2)], 1, measure)

  expect(picture.nodes).toHaveLength(2)
  expect(picture.edges).toHaveLength(1)
  expect(placeByForce([], [], 1, measure).nodes).toEqual([])
  expect(placeInLayers([node('a')], [edge('a', 'a', 2)], measure, true).edges).toHaveLength(1)
})

test('two hundred agents do not touch', () => {
  const many = Array.from({ length: 200 }, (_, i) => node(`agent-${String(i)}`))
  const chain = many.slice(1).map((m, i) => edge(many[Math.floor(i / 3)]?.name ?? '', m.name))

  const boxes = placeByForce(many, chain, 1.5, measure).nodes

  expect(boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => overlaps(a, b)))).toEqual([])
})

test('widths, main types and search are bounded and sensible', () => {
  expect(cardWidth('x'.repeat(500), measure)).toBe(220)
  expect(edgeWidth(1)).toBeLessThan(edgeWidth(10))
  expect(edgeWidth(1e6)).toBe(7)
  expect(mainType({ ...edge('a', 'b'), types: { task: 1, result: 4 } })).toBe('result')
  expect([...found(team, 'RIT')]).toEqual(['writer', 'critic'])
  expect(found(team, ' ').size).toBe(0)
})
