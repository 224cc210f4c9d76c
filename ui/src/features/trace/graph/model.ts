/** Where agents and their messages go in the picture. The same input gives the same picture. */
import { forceCenter, forceLink, forceManyBody, forceSimulation, forceX, forceY } from 'd3-force'
import type { GraphEdge, GraphNode, MessageType } from '@/api/types'
import { edgeKey } from '../model'
import type { Box, Curve, Point } from './geometry'
import { bounds, bow, contains, overlaps, pointAt } from './geometry'

export const CARD_HEIGHT = 44
const LABEL_HEIGHT = 18

export interface PlacedNode extends Box {
  node: GraphNode
}

export interface PlacedEdge {
  key: string
  edge: GraphEdge
  /** An SVG path. */
  path: string
  /** The arrow's point and where it looks, in radians. */
  tip: Point & { angle: number }
  label: Box
}

type Line = Pick<PlacedEdge, 'path' | 'tip' | 'label'>

export interface Picture {
  nodes: PlacedNode[]
  edges: PlacedEdge[]
  box: { x: number; y: number; width: number; height: number }
}

/** How wide a text is in pixels. */
export type Measure = (text: string) => number

/** A card fits its name, also in the larger letters it has when drawn small, within reason. */
export function cardWidth(name: string, measure: Measure): number {
  return Math.round(Math.min(220, Math.max(104, measure(name) + 54, measure(name) * 1.4 + 30)))
}

/** Line width: the root of the number of messages, so that 100 is five times 4, not 25 times. */
export function edgeWidth(count: number): number {
  return Math.min(7, 1.5 + Math.sqrt(Math.max(0, count - 1)) * 0.8)
}

/** What most of an edge's messages are. */
export function mainType(edge: GraphEdge): MessageType {
  let best: MessageType = 'task'
  let most = -1
  for (const [type, count] of Object.entries(edge.types)) {
    if (count > most) {
      most = count
      best = type as MessageType
    }
  }
  return best
}

const TYPE_COLOURS: Record<MessageType, string> = {
  task: 'var(--agent-0)',
  result: 'var(--agent-5)',
  handoff: 'var(--agent-1)',
  question: 'var(--agent-4)',
  answer: 'var(--agent-2)',
  broadcast: 'var(--agent-7)',
}

export function typeColour(type: MessageType): string {
  return TYPE_COLOURS[type]
}

/** Numbers between 0 and 1 that are the same every time. (The constants of Numerical Recipes.) */
export function seeded(seed = 42): () => number {
  let state = seed
  return () => {
    state = (Math.imul(1664525, state) + 1013904223) | 0
    return (state >>> 0) / 2 ** 32
  }
}

type Body = PlacedNode & { vx?: number; vy?: number; fx?: number | null; fy?: number | null; index?: number }

/**
 * Place agents by forces. `aspect` is width over height of where it is shown. Agents that have a
 * place in `before` stay there, so that a growing graph does not jump.
 */
export function placeByForce(
  nodes: readonly GraphNode[],
  edges: readonly GraphEdge[],
  aspect: number,
  measure: Measure,
  before: ReadonlyMap<string, Point> = new Map(),
): Picture {
  const bodies = cards(nodes, measure)
  const index = new Map(bodies.map((b, i) => [b.node.name, i]))
  // On a circle in order of appearance: a start that the forces need not untangle.
  const radius = Math.max(140, bodies.length * 34)
  bodies.forEach((body, i) => {
    const angle = (2 * Math.PI * i) / Math.max(1, bodies.length) - Math.PI / 2
    body.x = Math.cos(angle) * radius * Math.max(1, aspect)
    body.y = Math.sin(angle) * radius
    const place = before.get(body.node.name)
    if (place) {
      body.x = body.fx = place.x
      body.y = body.fy = place.y
    }
  })
  const links = edges
    .filter((e) => e.sender !== e.recipient && index.has(e.sender) && index.has(e.recipient))
    .map((e) => ({ source: index.get(e.sender) ?? 0, target: index.get(e.recipient) ?? 0, count: e.count }))
  const linked = new Set(edges.filter((e) => e.sender !== e.recipient).flatMap((e) => [e.sender, e.recipient]))
  const spread = bodies.length > 40 ? 0.7 : 1
  const simulation = forceSimulation<Body>(bodies)
    .randomSource(seeded())
    .force('link', forceLink<Body, { source: number; target: number; count: number }>(links).distance(165 * spread).strength((l) => Math.min(0.7, 0.15 + Math.log2(1 + l.count) * 0.08)))
    .force('charge', forceManyBody<Body>().strength(-820 * spread).distanceMax(900))
    // Nothing holds an agent that nobody talks to, but the middle.
    .force('x', forceX<Body>(0).strength((body) => (linked.has(body.node.name) ? 0.04 : 0.16) / Math.max(0.6, aspect)))
    .force('y', forceY<Body>(0).strength((body) => (linked.has(body.node.name) ? 0.06 : 0.16) * Math.max(0.6, Math.min(2, aspect))))
    .stop()
  if (!before.size) simulation.force('centre', forceCenter<Body>(0, 0))
  const rounds = bodies.length > 150 ? 160 : 300
  for (let i = 0; i < rounds; i++) {
    simulation.tick()
    if (i > rounds / 2) separate(bodies, 0.5)
  }
  for (let i = 0; i < 300 && separate(bodies, 1); i++);
  return draw(bodies, edges)
}

function cards(nodes: readonly GraphNode[], measure: Measure): Body[] {
  return nodes.map((node) => ({ node, x: 0, y: 0, width: cardWidth(node.name, measure), height: CARD_HEIGHT }))
}

/** Push apart cards that touch, along the shorter way; whether there were any. */
function separate(bodies: Body[], strength: number): boolean {
  let touched = false
  for (let i = 0; i < bodies.length; i++) {
    for (let j = i + 1; j < bodies.length; j++) {
      const a = bodies[i]
      const b = bodies[j]
      if (!a || !b) continue
      const dx = b.x - a.x
      const dy = b.y - a.y
      const x = (a.width + b.width) / 2 + 60 - Math.abs(dx)
      const y = (a.height + b.height) / 2 + 44 - Math.abs(dy)
      if (x <= 0 || y <= 0) continue
      touched = true
      if (x < y) {
        const push = ((x / 2) * strength + 0.05) * (dx < 0 ? -1 : 1)
        a.x -= push
        b.x += push
      } else {
        const push = ((y / 2) * strength + 0.05) * (dy < 0 ? -1 : 1)
        a.y -= push
        b.y += push
      }
    }
  }
  return touched
}

/** Draw edges between placed cards; also used while a card is dragged. */
export function draw(nodes: PlacedNode[], edges: readonly GraphEdge[]): Picture {
  const byName = new Map(nodes.map((n) => [n.node.name, n]))
  const known = new Set(edges.map((e) => edgeKey(e.sender, e.recipient)))
  const labels: Box[] = []
  const placed: PlacedEdge[] = []
  // Busy edges first: they get the straightest way and the best place for their number.
  const ordered = [...edges].sort((a, b) => b.count - a.count || (edgeKey(a.sender, a.recipient) < edgeKey(b.sender, b.recipient) ? -1 : 1))
  for (const edge of ordered) {
    const from = byName.get(edge.sender)
    const to = byName.get(edge.recipient)
    if (!from || !to) continue
    const width = 12 + String(edge.count).length * 7
    const result = from === to ? loop(from, width) : route(from, to, known.has(edgeKey(edge.recipient, edge.sender)), nodes, labels, width)
    labels.push(result.label)
    placed.push({ key: edgeKey(edge.sender, edge.recipient), edge, ...result })
  }
  return { nodes, edges: placed, box: bounds([...nodes, ...labels]) }
}

function loop(box: Box, width: number): Line {
  const x = box.x + box.width / 2
  const y = box.y - box.height / 2
  return {
    path: `M${n(x - 26)},${n(y - 2)} C${n(x - 30)},${n(y - 42)} ${n(x + 44)},${n(y - 30)} ${n(x + 10)},${n(y + 8)}`,
    tip: { x: x + 6, y: y + 12, angle: Math.PI * 0.72 },
    label: { x: x + 2, y: y - 29, width, height: LABEL_HEIGHT },
  }
}

const LABEL_PLACES = [0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73]

function route(from: Box, to: Box, bothWays: boolean, nodes: readonly Box[], labels: readonly Box[], width: number): Line {
  const bends = bothWays ? [0.16, 0.24, 0.34, 0.46, 0.6] : [0.1, -0.1, 0.22, -0.22, 0.36, -0.36, 0.52, -0.52, 0.7]
  let best: { cost: number; curve: Curve; label: Box } | null = null
  const others = nodes.filter((node) => node !== from && node !== to)
  for (const bend of bends) {
    const curve = bow(from, to, bend)
    const hits = others.filter((node) => crosses(curve, node)).length
    const { label, clash } = placeLabel(curve, width, nodes, labels)
    const cost = hits * 10 + clash * 3 + Math.abs(bend)
    if (!best || cost < best.cost) best = { cost, curve, label }
  }
  const chosen = best ?? { curve: bow(from, to, 0.1), label: { x: 0, y: 0, width, height: LABEL_HEIGHT } }
  const { curve } = chosen
  return {
    path: `M${n(curve.from.x)},${n(curve.from.y)} Q${n(curve.control.x)},${n(curve.control.y)} ${n(curve.to.x)},${n(curve.to.y)}`,
    tip: { ...curve.to, angle: Math.atan2(curve.to.y - curve.control.y, curve.to.x - curve.control.x) },
    label: chosen.label,
  }
}

function crosses(curve: Curve, box: Box): boolean {
  // A curve stays within the triangle of its three points.
  const x = box.width / 2 + 6
  const y = box.height / 2 + 6
  if (Math.max(curve.from.x, curve.control.x, curve.to.x) < box.x - x || Math.min(curve.from.x, curve.control.x, curve.to.x) > box.x + x) return false
  if (Math.max(curve.from.y, curve.control.y, curve.to.y) < box.y - y || Math.min(curve.from.y, curve.control.y, curve.to.y) > box.y + y) return false
  for (let t = 0.04; t < 1; t += 0.04) if (contains(box, pointAt(curve, t), 6)) return true
  return false
}

function placeLabel(curve: Curve, width: number, nodes: readonly Box[], labels: readonly Box[]): { label: Box; clash: number } {
  let fallback: { label: Box; clash: number } | null = null
  for (const t of LABEL_PLACES) {
    const label = { ...pointAt(curve, t), width, height: LABEL_HEIGHT }
    const clash = nodes.filter((node) => overlaps(label, node, 3)).length + labels.filter((other) => overlaps(label, other, 2)).length
    if (!clash) return { label, clash: 0 }
    if (!fallback || clash < fallback.clash) fallback = { label, clash }
  }
  return fallback ?? { label: { ...pointAt(curve, 0.5), width, height: LABEL_HEIGHT }, clash: 1 }
}

function n(value: number): string {
  return value.toFixed(1)
}

/** The part of a graph that fits a search: agents whose name has the text; none for an empty text. */
export function found(nodes: readonly GraphNode[], text: string): ReadonlySet<string> {
  const wanted = text.trim().toLowerCase()
  if (!wanted) return new Set()
  return new Set(nodes.filter((node) => node.name.toLowerCase().includes(wanted)).map((node) => node.name))
}
