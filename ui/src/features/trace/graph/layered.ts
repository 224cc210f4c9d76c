/** The graph in layers: who speaks first stands on top. In a module of its own, loaded when chosen. */
import { graphlib, layout } from '@dagrejs/dagre'
import { curveCatmullRom, curveMonotoneX, curveMonotoneY, line as lineOf } from 'd3-shape'
import type { GraphEdge, GraphNode } from '@/api/types'
import { edgeKey } from '../model'
import type { Box, Point } from './geometry'
import { bounds } from './geometry'
import type { Measure, Picture, PlacedEdge, PlacedNode } from './model'
import { CARD_HEIGHT, cardWidth } from './model'

/** `nodes` come in order of appearance: edges against it are drawn upwards. */
export function placeInLayers(nodes: readonly GraphNode[], edges: readonly GraphEdge[], measure: Measure, sideways: boolean): Picture {
  const graph = new graphlib.Graph({ multigraph: true })
  graph.setGraph({ rankdir: sideways ? 'LR' : 'TB', nodesep: 36, ranksep: sideways ? 80 : 58, edgesep: 22, marginx: 8, marginy: 8 })
  const rank = new Map(nodes.map((node, i) => [node.name, i]))
  for (const node of nodes) graph.setNode(node.name, { width: cardWidth(node.name, measure), height: CARD_HEIGHT })
  const drawn = edges.filter((e) => rank.has(e.sender) && rank.has(e.recipient))
  for (const edge of drawn) {
    const up = (rank.get(edge.sender) ?? 0) > (rank.get(edge.recipient) ?? 0)
    graph.setEdge(
      up ? edge.recipient : edge.sender,
      up ? edge.sender : edge.recipient,
      { width: 12 + String(edge.count).length * 7, height: 18, labelpos: 'c', weight: up ? 1 : 2 },
      edgeKey(edge.sender, edge.recipient),
    )
  }
  layout(graph)
  const placed: PlacedNode[] = nodes.map((node) => ({ node, ...(graph.node(node.name) as Box) }))
  const lines: PlacedEdge[] = drawn.map((edge) => {
    const up = (rank.get(edge.sender) ?? 0) > (rank.get(edge.recipient) ?? 0)
    const key = edgeKey(edge.sender, edge.recipient)
    const line = graph.edge({ v: up ? edge.recipient : edge.sender, w: up ? edge.sender : edge.recipient, name: key }) as Box & { points: { x: number; y: number }[] }
    const points = (up ? [...line.points].reverse() : line.points).map((p) => ({ ...p }))
    const end = points[points.length - 1] ?? { x: 0, y: 0 }
    const before = points[points.length - 2] ?? end
    const angle = Math.atan2(end.y - before.y, end.x - before.x)
    // Room for the arrow's head.
    end.x -= Math.cos(angle) * 6
    end.y -= Math.sin(angle) * 6
    const curve = edge.sender === edge.recipient ? curveCatmullRom : sideways ? curveMonotoneX : curveMonotoneY
    const path = lineOf<Point>((p) => p.x, (p) => p.y).curve(curve)(points) ?? ''
    return { key, edge, path, tip: { ...end, angle }, label: { x: line.x, y: line.y, width: line.width, height: line.height } }
  })
  return { nodes: placed, edges: lines, box: bounds([...placed, ...lines.map((l) => l.label)]) }
}
