/** The agent graph: zoomed, dragged, searched and scrubbed through time. */
import type { D3ZoomEvent, ZoomBehavior } from 'd3-zoom'
import { zoom, zoomIdentity } from 'd3-zoom'
import { select } from 'd3-selection'
import { Boxes, Maximize, Minus, Network, Plus, Search, Workflow } from 'lucide-react'
import type { PointerEvent } from 'react'
import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react'
import { offset } from '@/shared/format'
import { usePreference } from '@/shared/preferences'
import { useSize } from '@/shared/size'
import { IconButton, Segments, SkeletonLines } from '@/shared/ui/basics'
import { Panel, PanelTitle } from '@/shared/ui/Panel'
import { EmptyState } from '@/shared/ui/states'
import { useTraceView } from '../context'
import type { Selection } from '../model'
import { edgeKey } from '../model'
import type { Point } from './geometry'
import type { Grouped } from './grouping'
import { groupSimilar, pattern } from './grouping'
import type { placeInLayers } from './layered'
import { Legend } from './Legend'
import type { Picture as Drawn } from './model'
import { draw, found, placeByForce } from './model'
import { Picture } from './Picture'
import { useMeasure } from './measure'

type Layout = 'force' | 'layers'

const NONE: ReadonlySet<string> = new Set()

/** A set that has everything in it: no group stays closed. */
const ALL: ReadonlySet<string> = Object.assign(new Set<string>(), { has: () => true })

const FONT = '600 12.5px "Inter Variable"'

export function GraphView({ compact = false }: { compact?: boolean }) {
  const { data } = useTraceView()
  const [layout, setLayout] = usePreference<Layout>('graph.layout', 'force')
  const [wanted, setWanted] = useState('')
  const [untilUs, setUntilUs] = useState<number | null>(null)
  const { nodes, edges, metrics } = data.graph
  const [grouping, setGrouping] = useState<boolean | null>(null)
  const [opened, setOpened] = useState(NONE)
  const alike = useMemo(() => groupSimilar(nodes, edges, NONE).members.size > 0, [nodes, edges])
  // More than this would be too small to read all at once.
  const group = grouping ?? nodes.length > 30
  const sought = useDeferredValue(wanted)
  const grouped = useMemo(() => {
    if (!group) return groupSimilar(nodes, edges, ALL)
    // An agent that is looked for must not stay hidden behind its group's card.
    return groupSimilar(nodes, edges, new Set([...opened, ...[...found(nodes, sought)].map(pattern)]))
  }, [nodes, edges, group, opened, sought])
  const open = useCallback((names: readonly string[]) => { setOpened((old) => new Set([...old, ...names])) }, [])
  const cycles = metrics.delegation_cycles.length
  return (
    <Panel
      label="Agent graph"
      bar={
        <>
          <PanelTitle>{compact ? 'Agents' : 'Who talks to whom'}</PanelTitle>
          {!compact && nodes.length > 0 && (
            <span className="tabular hidden text-xs text-faint xl:inline">
              density {metrics.density.toFixed(2)}
              {cycles > 0 && (
                <span title={metrics.delegation_cycles.map((c) => [...c, c[0]].join(' → ')).join('\n')} className="text-warn">
                  {' '}
                  · work goes in {cycles === 1 ? 'a circle' : `${String(cycles)} circles`}
                </span>
              )}
            </span>
          )}
          <span className="ml-auto" />
          {alike && (
            <IconButton
              label={group && !opened.size ? 'Show every agent' : 'Group agents that differ by a number'}
              pressed={group && !opened.size}
              onClick={() => {
                setGrouping(opened.size > 0 || !group)
                setOpened(NONE)
              }}
            >
              <Boxes className="size-4" />
            </IconButton>
          )}
          {(!compact || nodes.length > 20) && (
            <span className="relative">
              <Search aria-hidden className="pointer-events-none absolute top-1.5 left-1.5 size-3.5 text-faint" />
              <input
                type="search"
                aria-label="Find an agent"
                placeholder="Find an agent"
                value={wanted}
                onChange={(e) => { setWanted(e.target.value) }}
                className="h-[26px] w-36 rounded-md border border-line bg-panel pr-1 pl-6 text-xs placeholder:text-faint"
              />
            </span>
          )}
          <Segments
            label="Layout"
            value={layout}
            onChange={setLayout}
            options={[
              { value: 'force', name: 'Layout by forces', label: <Network aria-hidden className="size-3.5" /> },
              { value: 'layers', name: 'Layout in layers', label: <Workflow aria-hidden className="size-3.5" /> },
            ]}
          />
        </>
      }
    >
      {nodes.length === 0 ? (
        data.summary.analysed ? (
          <EmptyState title="No agents in this trace">
            <p>No span names an agent. Spans of any kind are in the timeline.</p>
          </EmptyState>
        ) : (
          <SkeletonLines label="Looking for agents" />
        )
      ) : (
        <Stage layout={layout} grouped={grouped} onOpen={open} wanted={wanted} untilUs={untilUs} setUntilUs={setUntilUs} compact={compact} />
      )}
    </Panel>
  )
}

function Stage({
  layout,
  grouped,
  onOpen,
  wanted,
  untilUs,
  setUntilUs,
  compact,
}: {
  layout: Layout
  grouped: Grouped
  onOpen: (names: readonly string[]) => void
  wanted: string
  untilUs: number | null
  setUntilUs: (us: number | null) => void
  compact: boolean
}) {
  const { data, selection, links, select: choose } = useTraceView()
  const { cardOf } = grouped
  const box = useRef<HTMLDivElement>(null)
  const svg = useRef<SVGSVGElement>(null)
  const world = useRef<SVGGElement>(null)
  const { width, height } = useSize(box)
  const measure = useMeasure(FONT)
  const aspect = width && height ? Math.round((width / height) * 4) / 4 : 1.25
  const { picture, move } = usePicture(layout, grouped, aspect, measure)
  const moved = useRef(false)

  const [dense, setDense] = useState(false)
  const zooming = useRef<ZoomBehavior<SVGSVGElement, unknown> | null>(null)
  useEffect(() => {
    if (!svg.current) return
    zooming.current = zoom<SVGSVGElement, unknown>()
      .scaleExtent([0.08, 3])
      .filter((event: MouseEvent) => event.type !== 'dblclick' && !(event.target as Element).closest('[data-agent]'))
      .on('zoom', (event: D3ZoomEvent<SVGSVGElement, unknown>) => {
        if (event.sourceEvent) moved.current = true
        world.current?.setAttribute('transform', event.transform.toString())
        setDense(event.transform.k < 0.72)
      })
    select(svg.current).call(zooming.current)
  }, [])

  const fitted = useMemo(() => {
    if (!picture || !width || !height) return null
    const bottom = compact ? 30 : 64
    const scale = Math.min(1.25, (width - 40) / picture.box.width, (height - 32 - bottom) / picture.box.height)
    return zoomIdentity
      .translate(width / 2, 16 + (height - 16 - bottom) / 2)
      .scale(Math.max(0.08, scale))
      .translate(-(picture.box.x + picture.box.width / 2), -(picture.box.y + picture.box.height / 2))
  }, [picture, width, height, compact])
  const fitAll = useCallback(() => {
    if (!svg.current || !fitted) return
    moved.current = false
    select(svg.current).call((selected) => zooming.current?.transform(selected, fitted))
  }, [fitted])
  useEffect(() => {
    if (!moved.current) fitAll()
  }, [fitAll])

  const scale = (factor: number) => {
    if (!svg.current) return
    moved.current = true
    select(svg.current).call((selected) => zooming.current?.scaleBy(selected, factor))
  }

  const drag = useRef<{ name: string; x: number; y: number; far: boolean } | null>(null)
  const onDragNode = useCallback((event: PointerEvent<SVGGElement>, name: string) => {
    drag.current = { name, x: event.clientX, y: event.clientY, far: false }
    event.currentTarget.setPointerCapture(event.pointerId)
  }, [])
  const onPointerMove = (event: PointerEvent) => {
    const held = drag.current
    if (!held || !world.current) return
    const dx = event.clientX - held.x
    const dy = event.clientY - held.y
    if (!held.far && Math.hypot(dx, dy) < 4) return
    held.far = true
    held.x = event.clientX
    held.y = event.clientY
    const k = world.current.getCTM()?.a ?? 1
    moved.current = true
    move(held.name, dx / k, dy / k)
  }
  const dragged = useRef(false)
  const onPointerUp = () => {
    dragged.current = drag.current?.far ?? false
    drag.current = null
  }
  const onSelect = useCallback(
    (next: Selection) => {
      // The click that ends a drag is not meant as one.
      if (!dragged.current) choose(next)
      dragged.current = false
    },
    [choose],
  )

  const until = useMemo(() => {
    if (untilUs === null) return null
    const counts = new Map<string, number>()
    for (const m of data.messages) {
      if (m.atUs > untilUs) continue
      for (const name of new Set([m.recipient, ...m.audience])) {
        const key = edgeKey(cardOf(m.sender), cardOf(name))
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
    }
    return counts
  }, [data.messages, untilUs, cardOf])
  const hits = useMemo(() => found(data.graph.nodes, wanted), [data.graph.nodes, wanted])

  return (
    <div ref={box} className="absolute inset-0 overflow-hidden">
      <svg ref={svg} width={width} height={height} className="block touch-none" role="group" aria-label="Agents and the messages between them" onPointerMove={onPointerMove} onPointerUp={onPointerUp}>
        <g ref={world}>
          {picture && (
            <Picture picture={picture} members={grouped.members} onOpen={onOpen} data={data} selection={selection} links={links} found={hits} until={until} measure={measure} dense={dense} onSelect={onSelect} onDragNode={onDragNode} />
          )}
        </g>
      </svg>
      <div className="absolute top-2 right-2 flex flex-col rounded-md border border-line bg-panel">
        <IconButton label="Closer" onClick={() => { scale(1.3) }}>
          <Plus className="size-3.5" />
        </IconButton>
        <IconButton label="Farther" onClick={() => { scale(1 / 1.3) }}>
          <Minus className="size-3.5" />
        </IconButton>
        <IconButton label="Show all" onClick={fitAll}>
          <Maximize className="size-3.5" />
        </IconButton>
      </div>
      <div className="pointer-events-none absolute inset-x-0 bottom-0 flex flex-col gap-1 bg-gradient-to-t from-panel from-60% to-transparent px-3 pt-3 pb-1.5">
        {!compact && data.messages.length > 1 && <Scrubber untilUs={untilUs} setUntilUs={setUntilUs} />}
        <Legend edges={data.graph.edges} nodes={data.graph.nodes} />
      </div>
    </div>
  )
}

/** The placed graph, and how to move one card of it. */
function usePicture(layout: Layout, grouped: Grouped, aspect: number, measure: (text: string) => number) {
  const { data } = useTraceView()
  const { participants } = data
  const { nodes: cards, edges, cardOf } = grouped
  const [layered, setLayered] = useState<{ placeInLayers: typeof placeInLayers } | null>(null)
  useEffect(() => {
    if (layout === 'layers') void import('./layered').then(setLayered)
  }, [layout])
  const places = useRef<{ layout: Layout; aspect: number; at: Map<string, Point> } | null>(null)
  const [shown, setShown] = useState<Drawn | null>(null)
  useEffect(() => {
    const order = new Map(participants.map((name, i) => [cardOf(name), i]))
    const nodes = [...cards].sort((a, b) => (order.get(a.name) ?? 1e9) - (order.get(b.name) ?? 1e9))
    let next: Drawn | null = null
    if (layout === 'layers') next = layered && layered.placeInLayers(nodes, edges, measure, aspect > 1.9)
    else {
      // Same page, same shape: agents that have a place keep it while the trace grows.
      const kept = places.current?.layout === layout && places.current.aspect === aspect ? places.current.at : undefined
      const all = kept && nodes.every((node) => kept.has(node.name))
      next = placeByForce(nodes, edges, aspect, measure, all ? kept : kept && kept.size * 2 > nodes.length ? kept : undefined)
    }
    if (!next) return
    places.current = { layout, aspect, at: new Map(next.nodes.map((placed) => [placed.node.name, { x: placed.x, y: placed.y }])) }
    setShown(next)
  }, [cards, edges, cardOf, participants, layout, layered, aspect, measure])
  const move = useCallback(
    (name: string, dx: number, dy: number) => {
      setShown((old) => {
        if (!old) return old
        const nodes = old.nodes.map((placed) => (placed.node.name === name ? { ...placed, x: placed.x + dx, y: placed.y + dy } : placed))
        const held = nodes.find((placed) => placed.node.name === name)
        if (held) places.current?.at.set(name, { x: held.x, y: held.y })
        return { ...draw(nodes, edges), box: old.box }
      })
    },
    [edges],
  )
  return { picture: shown, move }
}

function Scrubber({ untilUs, setUntilUs }: { untilUs: number | null; setUntilUs: (us: number | null) => void }) {
  const { data } = useTraceView()
  const first = data.messages[0]?.atUs ?? 0
  const last = data.messages[data.messages.length - 1]?.atUs ?? 0
  const at = untilUs ?? last
  const spoken = untilUs === null ? data.messages.length : data.messages.filter((m) => m.atUs <= untilUs).length
  return (
    <label className="pointer-events-auto flex items-center gap-3 text-xs text-muted">
      <span className="shrink-0">Up to</span>
      <input
        type="range"
        aria-label="Show messages up to this moment"
        aria-valuetext={`${offset(at)}, ${String(spoken)} messages`}
        min={0}
        max={data.messages.length - 1}
        value={Math.max(0, spoken - 1)}
        onChange={(e) => {
          const index = Number(e.target.value)
          const us = data.messages[index]?.atUs ?? first
          setUntilUs(index >= data.messages.length - 1 ? null : us)
        }}
        className="h-4 min-w-0 flex-1 accent-accent-strong"
      />
      <span className="tabular w-36 shrink-0 text-right">
        {offset(at)} · {spoken} of {data.messages.length}
      </span>
    </label>
  )
}
