/** The drawn graph: cards, lines, numbers. Every one of them is a button. */
import clsx from 'clsx'
import type { KeyboardEvent, PointerEvent } from 'react'
import { memo } from 'react'
import { count, plural } from '@/shared/format'
import { USER } from '@/shared/palette'
import type { Links, Selection, TraceData } from '../model'
import { fit } from './measure'
import type { Measure, Picture as Drawn, PlacedEdge, PlacedNode } from './model'
import { edgeWidth, mainType, typeColour } from './model'

export interface PictureProps {
  picture: Drawn
  data: TraceData
  selection: Selection
  links: Links
  /** Cards that stand for several agents, and who those are. */
  members: ReadonlyMap<string, readonly string[]>
  onOpen: (names: readonly string[]) => void
  /** Names to stand out from a search; empty for none. */
  found: ReadonlySet<string>
  /** How many messages each edge carries up to the chosen moment; null for all of them. */
  until: ReadonlyMap<string, number> | null
  measure: Measure
  /** Drawn so small that only names would be readable: they get all the room. */
  dense: boolean
  onSelect: (selection: Selection) => void
  onDragNode: (event: PointerEvent<SVGGElement>, name: string) => void
}

export const Picture = memo(function Picture(props: PictureProps) {
  const { picture, selection, links, found, members } = props
  const focused = selection.kind !== 'none' && (links.agents.size > 0 || links.edges.size > 0)
  const within = (name: string, test: (name: string) => boolean) => members.get(name)?.some(test) ?? test(name)
  const dimNode = (name: string) =>
    found.size ? !within(name, (n) => found.has(n)) : focused && !within(name, (n) => links.agents.has(n) || touches(links, n))
  const dimEdge = ({ key, edge }: PlacedEdge) =>
    found.size > 0 || (focused && !links.edges.has(key) && !members.has(edge.sender) && !members.has(edge.recipient))
  return (
    <>
      <g>
        {picture.edges.map((placed) => (
          <Edge key={placed.key} placed={placed} dim={dimEdge(placed)} {...props} />
        ))}
      </g>
      <g>
        {picture.nodes.map((placed) => (
          <Card key={placed.node.name} placed={placed} dim={dimNode(placed.node.name)} {...props} />
        ))}
      </g>
      <g>
        {picture.edges.map((placed) => (
          <EdgeNumber key={placed.key} placed={placed} dim={dimEdge(placed)} {...props} />
        ))}
      </g>
    </>
  )
})

function touches(links: Links, name: string): boolean {
  for (const key of links.edges) {
    const [sender, recipient] = JSON.parse(key) as [string, string]
    if (sender === name || recipient === name) return true
  }
  return false
}

function countOf({ placed, until }: { placed: PlacedEdge } & Pick<PictureProps, 'until'>): number {
  return until ? (until.get(placed.key) ?? 0) : placed.edge.count
}

function press(action: () => void) {
  return (event: KeyboardEvent) => {
    if (event.key !== 'Enter' && event.key !== ' ') return
    event.preventDefault()
    action()
  }
}

function edgeColour(placed: PlacedEdge): string {
  return placed.edge.errors > 0 ? 'var(--danger)' : typeColour(mainType(placed.edge))
}

function describeEdge({ edge }: PlacedEdge): string {
  const types = Object.entries(edge.types)
    .map(([type, n]) => `${String(n)} ${type}`)
    .join(', ')
  const notes = [edge.provenance === 'inferred' ? 'inferred' : edge.provenance === 'mixed' ? 'partly inferred' : '', edge.errors ? `${String(edge.errors)} failed` : '']
  return [`${edge.sender} to ${edge.recipient}: ${plural(edge.count, 'message')} (${types})`, ...notes.filter(Boolean)].join(', ')
}

function Edge({ placed, dim, selection, until, members, onSelect, onOpen }: { placed: PlacedEdge; dim: boolean } & PictureProps) {
  const { edge, path, tip } = placed
  const n = countOf({ placed, until })
  const chosen = selection.kind === 'edge' && selection.sender === edge.sender && selection.recipient === edge.recipient
  const colour = edgeColour(placed)
  const width = edgeWidth(n)
  const crowds = [edge.sender, edge.recipient].filter((name) => members.has(name))
  const select = () => {
    if (crowds.length) onOpen(crowds)
    else onSelect({ kind: 'edge', sender: edge.sender, recipient: edge.recipient })
  }
  const size = 6 + width
  return (
    <g
      role="button"
      tabIndex={0}
      aria-label={describeEdge(placed)}
      aria-pressed={chosen}
      onClick={select}
      onKeyDown={press(select)}
      className="group cursor-pointer outline-none"
      opacity={n === 0 ? 0.06 : dim ? 0.16 : 1}
    >
      <path d={path} fill="none" stroke="transparent" strokeWidth={18} />
      <path d={path} fill="none" stroke={colour} strokeOpacity={0.22} strokeWidth={width + 7} className={clsx(!chosen && 'opacity-0 group-hover:opacity-100 group-focus-visible:opacity-100')} />
      <path d={path} fill="none" stroke={colour} strokeWidth={width} strokeLinecap="round" strokeDasharray={edge.provenance === 'inferred' ? `${String(width * 2.5)} ${String(width * 2 + 3)}` : undefined} />
      <path d={`M0,0 L${String(-size)},${String(-size * 0.52)} L${String(-size)},${String(size * 0.52)} Z`} transform={`translate(${String(tip.x)},${String(tip.y)}) rotate(${String((tip.angle * 180) / Math.PI)}) translate(3,0)`} fill={colour} />
      <title>{describeEdge(placed)}</title>
    </g>
  )
}

function EdgeNumber({ placed, dim, until, dense }: { placed: PlacedEdge; dim: boolean } & PictureProps) {
  const n = countOf({ placed, until })
  if (n === 0) return null
  const { label } = placed
  return (
    <g aria-hidden pointerEvents="none" opacity={dim ? 0.2 : 1}>
      <rect x={label.x - label.width / 2} y={label.y - label.height / 2} width={label.width} height={label.height} rx={label.height / 2} fill="var(--panel)" stroke={edgeColour(placed)} strokeOpacity={0.55} />
      <text x={label.x} y={label.y} dy="0.35em" textAnchor="middle" fontSize={dense ? 14 : 11} fontWeight={600} fill="var(--text)">
        {n}
      </text>
    </g>
  )
}

function Card({ placed, dim, data, selection, links, members, measure, dense, onSelect, onOpen, onDragNode }: { placed: PlacedNode; dim: boolean } & PictureProps) {
  const { node, width, height } = placed
  const chosen = selection.kind === 'agent' && selection.name === node.name
  const near = !chosen && selection.kind !== 'none' && links.agents.has(node.name)
  const user = node.name === USER && node.spans === 0
  const colour = user ? 'var(--faint)' : data.colourOf(node.name)
  const crowd = members.get(node.name)
  const select = () => {
    if (crowd) onOpen([node.name])
    else onSelect({ kind: 'agent', name: node.name })
  }
  const detail = crowd ? plural(crowd.length, 'agent') : user ? 'the caller' : node.tokens ? `${plural(node.spans, 'span')} · ${count(node.tokens)} tok` : plural(node.spans, 'span')
  const small = !user && !crowd && measure(detail) * 0.84 > width - 48 ? plural(node.spans, 'span') : detail
  const marks = [node.errors ? plural(node.errors, 'error') : '', node.failures ? plural(node.failures, 'failure') : ''].filter(Boolean)
  return (
    <g
      role="button"
      tabIndex={0}
      data-agent={node.name}
      aria-pressed={chosen}
      transform={`translate(${String(placed.x)},${String(placed.y)})`}
      onClick={select}
      onKeyDown={press(select)}
      onPointerDown={(event) => { onDragNode(event, node.name) }}
      className="group cursor-pointer outline-none"
      opacity={dim ? 0.38 : 1}
    >
      {/* The name for screen readers too: an aria-label would have to repeat every letter that is drawn. */}
      <title>{[`${crowd ? `${String(crowd.length)} agents ${node.name}, open` : user ? 'User' : `Agent ${node.name}`}: ${plural(node.messages_out, 'message')} sent, ${String(node.messages_in)} received`, ...marks].join(', ')}</title>
      {crowd && <rect x={-width / 2 + 5} y={-height / 2 + 5} width={width} height={height} rx={10} fill="var(--raised)" stroke="var(--line-strong)" />}
      <rect
        x={-width / 2}
        y={-height / 2}
        width={width}
        height={height}
        rx={10}
        fill="var(--raised)"
        stroke={chosen ? 'var(--accent)' : node.failures ? 'var(--warn)' : node.errors ? 'var(--danger)' : near ? colour : 'var(--line-strong)'}
        strokeWidth={chosen ? 2.5 : near || node.failures || node.errors ? 1.75 : 1}
        strokeDasharray={user ? '4 3' : undefined}
        className="group-hover:fill-hover group-focus-visible:stroke-accent"
      />
      {dense ? (
        <g aria-hidden>
          <rect x={-width / 2 + 7} y={-13} width={5} height={26} rx={2.5} fill={colour} />
          <text x={-width / 2 + 20} dy="0.35em" fontSize={17.5} fontWeight={600} fill="var(--text)">
            {fit(node.name, (width - 26) / 1.4, measure)}
          </text>
        </g>
      ) : (
        <g aria-hidden>
          <rect x={-width / 2 + 9} y={-11} width={22} height={22} rx={6} fill="none" stroke={colour} strokeWidth={1.75} />
          <text x={-width / 2 + 20} dy="0.36em" textAnchor="middle" fontSize={12} fontWeight={700} fill={colour}>
            {node.name.trim().charAt(0).toUpperCase() || '?'}
          </text>
          <text x={-width / 2 + 39} y={-3.5} fontSize={12.5} fontWeight={600} fill="var(--text)">
            {fit(node.name, width - 48, measure)}
          </text>
          <text x={-width / 2 + 39} y={12} fontSize={10.5} fill="var(--muted)">
            {small}
          </text>
        </g>
      )}
      {node.errors > 0 && <Mark x={width / 2 - (node.failures > 0 ? 31 : 6)} y={-height / 2 - 2} colour="var(--danger)" soft="var(--danger-soft)" text={node.errors > 99 ? '99' : String(node.errors)} round />}
      {node.failures > 0 && <Mark x={width / 2 - 6} y={-height / 2 - 2} colour="var(--warn)" soft="var(--warn-soft)" text={node.failures > 99 ? '99' : String(node.failures)} />}
    </g>
  )
}

/** A number on a card's corner: round for errors, a triangle for failures. */
function Mark({ x, y, colour, soft, text, round = false }: { x: number; y: number; colour: string; soft: string; text: string; round?: boolean }) {
  return (
    <g aria-hidden transform={`translate(${String(x)},${String(y)})`} pointerEvents="none">
      {round ? (
        <circle r={8.5} fill={soft} stroke={colour} strokeWidth={1.5} />
      ) : (
        <path d="M0,-10.5 L11,8 L-11,8 Z" fill={soft} stroke={colour} strokeWidth={1.5} strokeLinejoin="round" />
      )}
      <text y={round ? 0 : 2.5} dy="0.35em" textAnchor="middle" fontSize={text.length > 1 ? 8 : 9.5} fontWeight={700} fill={colour}>
        {text}
      </text>
    </g>
  )
}

