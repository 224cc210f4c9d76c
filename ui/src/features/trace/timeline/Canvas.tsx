/** The timeline on canvas, with everything that makes it a tree for the keyboard and screen readers. */
import type { KeyboardEvent, PointerEvent } from 'react'
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { duration } from '@/shared/format'
import { kindColour, resolveColour } from '@/shared/palette'
import { usePreference } from '@/shared/preferences'
import { useSize } from '@/shared/size'
import { useTheme } from '@/shared/theme'
import { useTraceView } from '../context'
import { useCursor } from '../cursor'
import { groupBy } from '../model'
import { kindName } from '../names'
import type { Segment, Tree, Window } from './model'
import { ancestorsOf, pan, zoom } from './model'
import type { Scene, Theme } from './paint'
import { AXIS, indentOf, MINIMAP, packed, paintAxis, paintMinimap, paintRows, ROW, usAt, xOf } from './paint'
import type { ColourBy } from './TimelineView'

interface Props {
  tree: Tree
  rows: Int32Array
  folded: ReadonlySet<number>
  setFolded: (folded: ReadonlySet<number>) => void
  colourBy: ColourBy
  path: readonly Segment[] | null
  found: Uint8Array | null
  compact: boolean
}

function readTheme(): Theme {
  const value = (name: string) => resolveColour(`var(--${name})`)
  return {
    panel: value('panel'),
    text: value('text'),
    muted: value('muted'),
    faint: value('faint'),
    line: value('line'),
    hover: value('hover'),
    selected: value('selected'),
    danger: value('danger'),
    warn: value('warn'),
    accent: value('accent'),
  }
}

/** Fit a canvas to its place at the display's own resolution. */
function prepare(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D | null {
  const ratio = window.devicePixelRatio || 1
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio)
    canvas.height = Math.round(height * ratio)
  }
  const ctx = canvas.getContext('2d')
  ctx?.setTransform(ratio, 0, 0, ratio, 0, 0)
  return ctx
}

export function Canvas({ tree, rows, folded, setFolded, colourBy, path, found, compact }: Props) {
  const { data, selection, links, select } = useTraceView()
  const { skeleton } = data
  const box = useRef<HTMLDivElement>(null)
  const scroller = useRef<HTMLDivElement>(null)
  const rowsCanvas = useRef<HTMLCanvasElement>(null)
  const axisCanvas = useRef<HTMLCanvasElement>(null)
  const mapCanvas = useRef<HTMLCanvasElement>(null)
  const lens = useRef<HTMLDivElement>(null)
  const { width, height } = useSize(box)
  const { theme: themeName } = useTheme()
  const [share, setShare] = usePreference('timeline.gutter', 0.3)
  const gutter = Math.round(Math.min(width * 0.6, Math.max(120, Math.min(420, width * share))))
  const [hover, setHover] = useState<{ row: number; x: number; y: number } | null>(null)
  const [sight, setSight] = useState({ first: 0, last: 40 })
  const zoomed = useRef<Window | null>(null)
  const bodyHeight = Math.max(0, height - AXIS - MINIMAP)

  const selectedRow = selection.kind === 'span' ? (data.rowOf.get(selection.spanId) ?? -1) : -1
  const bright = useMemo(() => {
    if (selection.kind === 'none' || selection.kind === 'span') return null
    const near = new Set<number>()
    for (const id of links.spans) {
      const row = data.rowOf.get(id)
      if (row !== undefined) near.add(row)
    }
    if (selection.kind === 'agent') {
      const agent = skeleton.agents.indexOf(selection.name)
      skeleton.agent.forEach((of, row) => {
        if (of === agent) near.add(row)
      })
    }
    return near.size ? near : null
  }, [selection, links, data, skeleton])
  const failed = useMemo(() => {
    const found = new Set<number>()
    const add = (spanId: string | undefined) => {
      const row = spanId === undefined ? undefined : data.rowOf.get(spanId)
      if (row !== undefined) found.add(row)
    }
    for (const id of data.failuresOfSpan.keys()) add(id)
    for (const id of data.failuresOfMessage.keys()) add(data.messageOf.get(id)?.span_id)
    return found
  }, [data])
  const critical = useMemo(() => path && groupByRow(path), [path])

  const colour = useMemo(() => {
    // The theme's name is what makes the variables' values change.
    void themeName
    const agents = skeleton.agents.map((name) => resolveColour(data.colourOf(name)))
    const kinds = skeleton.kinds.map((kind) => resolveColour(kindColour(kind)))
    const none = resolveColour('var(--agent-none)')
    return (row: number) => (colourBy === 'agent' ? agents[skeleton.agent[row] ?? -1] : kinds[skeleton.kind[row] ?? -1]) ?? none
  }, [skeleton, data, colourBy, themeName])

  const scene = useCallback((): Scene => {
    void themeName
    return {
      skeleton,
      tree,
      rows,
      window: zoomed.current ?? { fromUs: 0, toUs: tree.endUs },
      width,
      height: bodyHeight,
      gutter,
      scrollTop: scroller.current?.scrollTop ?? 0,
      colour,
      folded,
      selectedRow,
      hoverRow: hover?.row ?? -1,
      bright,
      found,
      failed,
      critical,
      theme: readTheme(),
    }
  }, [skeleton, tree, rows, width, bodyHeight, gutter, colour, folded, selectedRow, hover?.row, bright, found, failed, critical, themeName])

  const frame = useRef(0)
  const latest = useRef(scene)
  const repaint = useCallback(() => {
    if (frame.current) return
    frame.current = requestAnimationFrame(() => {
      frame.current = 0
      const now = latest.current()
      if (!rowsCanvas.current || !axisCanvas.current || now.width === 0) return
      const body = prepare(rowsCanvas.current, now.width, now.height)
      const axis = prepare(axisCanvas.current, now.width, AXIS)
      if (body) paintRows(body, now)
      if (body && now.rows.length) drawn()
      if (axis) paintAxis(axis, now)
      if (lens.current) {
        const map = now.width - now.gutter - 12
        lens.current.style.left = `${String(now.gutter + (now.window.fromUs / tree.endUs) * map)}px`
        lens.current.style.width = `${String(Math.max(3, ((now.window.toUs - now.window.fromUs) / tree.endUs) * map))}px`
      }
      const first = Math.floor(now.scrollTop / ROW)
      const last = first + Math.ceil(now.height / ROW)
      setSight((old) => (old.first === first && old.last === last ? old : { first, last }))
    })
  }, [tree.endUs])
  useLayoutEffect(() => {
    latest.current = scene
    repaint()
  }, [scene, repaint])
  useEffect(() => () => { cancelAnimationFrame(frame.current); frame.current = 0 }, [])
  useEffect(() => {
    void document.fonts.ready.then(repaint)
  }, [repaint])

  useEffect(() => {
    const canvas = mapCanvas.current
    const wide = Math.max(1, Math.round(width - gutter - 12))
    if (!canvas || width === 0) return
    canvas.width = wide
    canvas.height = MINIMAP
    const cache = new Map<string, number>()
    const rgb = (row: number) => {
      const hex = skeleton.status[row] === 2 ? resolveColour('var(--danger)') : colour(row)
      let value = cache.get(hex)
      if (value === undefined) cache.set(hex, (value = packed(hex)))
      return value
    }
    const danger = resolveColour('var(--danger)')
    const plain = (row: number) => (skeleton.status[row] === 2 ? packedOnce(cache, danger) : rgb(row))
    const ctx = canvas.getContext('2d')
    if (ctx) paintMinimap(ctx, { skeleton, tree, theme: readTheme() }, plain, wide)
  }, [skeleton, tree, colour, width, gutter])

  // What is selected elsewhere comes into sight here: unfolded, scrolled to, zoomed to if outside.
  const target = selectedRow >= 0 ? selectedRow : bright?.size ? Math.min(...[...bright].slice(0, 5000)) : -1
  useEffect(() => {
    if (target < 0) return
    const above = ancestorsOf(tree, target).filter((row) => folded.has(row))
    if (above.length) {
      const next = new Set(folded)
      for (const row of above) next.delete(row)
      setFolded(next)
      return
    }
    const at = rows.indexOf(target)
    const element = scroller.current
    if (at < 0 || !element) return
    const y = at * ROW
    if (y < element.scrollTop + ROW || y > element.scrollTop + bodyHeight - 2 * ROW) element.scrollTop = y - bodyHeight / 2
    repaint()
    // Folding by hand must not scroll back to the selection.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [target, tree, bodyHeight > 0])

  const setWindow = useCallback(
    (next: Window) => {
      zoomed.current = next.fromUs <= 0 && next.toUs >= tree.endUs ? null : next
      repaint()
    },
    [tree.endUs, repaint],
  )
  useEffect(() => {
    const element = box.current
    if (!element) return
    // React listens to wheel passively; zooming must keep the page from zooming too.
    const onWheel = (event: WheelEvent) => {
      const now = latest.current()
      const x = event.clientX - element.getBoundingClientRect().left
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault()
        setWindow(zoom(now.window, Math.exp(Math.sign(event.deltaY) * Math.min(0.35, Math.abs(event.deltaY) / 300)), usAt(now, Math.max(now.gutter, x)), tree.endUs))
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault()
        const by = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX
        setWindow(pan(now.window, (by / (now.width - now.gutter)) * (now.window.toUs - now.window.fromUs), tree.endUs))
      }
    }
    element.addEventListener('wheel', onWheel, { passive: false })
    return () => { element.removeEventListener('wheel', onWheel) }
  }, [tree.endUs, setWindow])

  const rowAt = (event: PointerEvent) => {
    const rect = scroller.current?.getBoundingClientRect()
    if (!rect) return -1
    return rows[Math.floor((event.clientY - rect.top + (scroller.current?.scrollTop ?? 0)) / ROW)] ?? -1
  }
  const fold = (row: number) => {
    const next = new Set(folded)
    if (!next.delete(row)) next.add(row)
    setFolded(next)
  }
  const [cursor, moveCursor] = useCursor(selectedRow)
  const selectRow = (row: number, stepping = false) => {
    const id = skeleton.span_id[row]
    if (id === undefined) return
    moveCursor(row)
    select({ kind: 'span', spanId: id }, stepping)
  }
  const onClick = (event: PointerEvent) => {
    const row = rowAt(event)
    if (row < 0) return
    const x = event.clientX - (box.current?.getBoundingClientRect().left ?? 0)
    const caret = indentOf(tree.depth[row] ?? 0)
    if ((tree.size[row] ?? 0) > 0 && x >= caret - 5 && x <= caret + 11) fold(row)
    else selectRow(row)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const now = latest.current()
    const current = cursor()
    const at = current >= 0 ? rows.indexOf(current) : -1
    const middle = (now.window.fromUs + now.window.toUs) / 2
    const span = now.window.toUs - now.window.fromUs
    const go = (index: number) => { selectRow(rows[Math.min(rows.length - 1, Math.max(0, index))] ?? -1, current >= 0) }
    const actions: Record<string, () => void> = {
      ArrowDown: () => { go(at + 1) },
      ArrowUp: () => { go(at < 0 ? 0 : at - 1) },
      Home: () => { go(0) },
      End: () => { go(rows.length - 1) },
      PageDown: () => { go(at + Math.floor(bodyHeight / ROW)) },
      PageUp: () => { go(at - Math.floor(bodyHeight / ROW)) },
      ArrowRight: () => {
        if (folded.has(current)) fold(current)
        else if ((tree.size[current] ?? 0) > 0) go(at + 1)
      },
      ArrowLeft: () => {
        if ((tree.size[current] ?? 0) > 0 && !folded.has(current)) fold(current)
        else selectRow(tree.parent[current] ?? -1, true)
      },
      '+': () => { setWindow(zoom(now.window, 0.7, middle, tree.endUs)) },
      '=': () => { setWindow(zoom(now.window, 0.7, middle, tree.endUs)) },
      '-': () => { setWindow(zoom(now.window, 1.4, middle, tree.endUs)) },
      '0': () => { setWindow({ fromUs: 0, toUs: tree.endUs }) },
      a: () => { setWindow(pan(now.window, -span * 0.2, tree.endUs)) },
      d: () => { setWindow(pan(now.window, span * 0.2, tree.endUs)) },
    }
    const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : actions[event.key]
    if (!action) return
    event.preventDefault()
    event.stopPropagation()
    action()
  }

  // On the axis and the minimap a drag chooses the part of time to look at.
  const dragFrom = useRef<number | null>(null)
  const [marked, setMarked] = useState<{ left: number; width: number } | null>(null)
  const mapUs = (event: PointerEvent) => {
    const rect = box.current?.getBoundingClientRect()
    const x = event.clientX - (rect?.left ?? 0) - gutter
    return Math.min(1, Math.max(0, x / (width - gutter - 12))) * tree.endUs
  }
  const onBrush = (event: PointerEvent<HTMLDivElement>) => {
    if (dragFrom.current === null) return
    const from = xOf({ window: { fromUs: 0, toUs: tree.endUs }, width, gutter }, dragFrom.current)
    const to = xOf({ window: { fromUs: 0, toUs: tree.endUs }, width, gutter }, mapUs(event))
    setMarked({ left: Math.min(from, to), width: Math.abs(to - from) })
  }
  const onBrushEnd = (event: PointerEvent<HTMLDivElement>) => {
    if (dragFrom.current === null) return
    const a = dragFrom.current
    const b = mapUs(event)
    dragFrom.current = null
    setMarked(null)
    if (Math.abs(b - a) > tree.endUs * 0.004) setWindow({ fromUs: Math.min(a, b), toUs: Math.max(a, b) })
    else {
      const now = latest.current().window
      setWindow(pan(now, b - (now.fromUs + now.toUs) / 2, tree.endUs))
    }
  }

  const describe = (row: number) => {
    if (row >= tree.count) return 'Parent that has not arrived'
    const parts = [
      skeleton.names[skeleton.name[row] ?? -1] ?? '',
      kindName(skeleton.kinds[skeleton.kind[row] ?? -1] ?? ''),
      skeleton.agents[skeleton.agent[row] ?? -1] ?? '',
      duration(skeleton.duration_us[row] ?? 0),
      skeleton.status[row] === 2 ? 'error' : '',
      failed.has(row) ? 'failure' : '',
    ]
    return parts.filter(Boolean).join(', ')
  }
  const inSight: { row: number; at: number }[] = []
  for (let at = sight.first; at < Math.min(rows.length, sight.last); at++) inSight.push({ row: rows[at] ?? 0, at })

  return (
    <div ref={box} className="absolute inset-0 flex flex-col overflow-hidden">
      <div
        className="relative shrink-0 touch-none border-b border-line"
        style={{ height: MINIMAP }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId)
          dragFrom.current = mapUs(event)
        }}
        onPointerMove={onBrush}
        onPointerUp={onBrushEnd}
        onDoubleClick={() => { setWindow({ fromUs: 0, toUs: tree.endUs }) }}
      >
        <span className="absolute top-2 left-3 text-2xs text-faint" style={{ maxWidth: gutter - 16 }}>
          {compact ? 'Drag to zoom' : 'Drag to zoom · double click for all'}
        </span>
        <canvas ref={mapCanvas} aria-hidden className="absolute top-0 opacity-80" style={{ left: gutter, width: Math.max(0, width - gutter - 12), height: MINIMAP }} />
        <div ref={lens} aria-hidden className="pointer-events-none absolute inset-y-0 rounded-sm border border-accent bg-accent/10" />
        {marked && <div aria-hidden className="pointer-events-none absolute inset-y-0 bg-accent/25" style={marked} />}
      </div>
      <canvas ref={axisCanvas} aria-hidden className="block shrink-0 border-b border-line" style={{ width, height: AXIS }} />
      <div className="relative min-h-0 flex-1">
        <canvas ref={rowsCanvas} aria-hidden className="pointer-events-none absolute inset-0" style={{ width, height: bodyHeight }} />
        <div
          ref={scroller}
          role="tree"
          tabIndex={0}
          data-keys
          aria-label="Spans"
          aria-activedescendant={selectedRow >= 0 ? `span-row-${String(selectedRow)}` : undefined}
          onScroll={repaint}
          onPointerMove={(event) => {
            const row = rowAt(event)
            const rect = box.current?.getBoundingClientRect()
            setHover(row < 0 || event.pointerType === 'touch' ? null : { row, x: event.clientX - (rect?.left ?? 0), y: event.clientY - (rect?.top ?? 0) })
          }}
          onPointerLeave={() => { setHover(null) }}
          onClick={(event) => { onClick(event as unknown as PointerEvent) }}
          onKeyDown={onKeyDown}
          className="absolute inset-0 overflow-x-hidden overflow-y-auto outline-offset-[-2px]"
        >
          <div role="presentation" style={{ height: rows.length * ROW }}>
            {inSight.map(({ row, at }) => (
              <div
                key={row}
                id={`span-row-${String(row)}`}
                role="treeitem"
                aria-level={(tree.depth[row] ?? 0) + 1}
                aria-expanded={(tree.size[row] ?? 0) > 0 ? !folded.has(row) : undefined}
                aria-selected={row === selectedRow}
                aria-label={describe(row)}
                data-span={skeleton.span_id[row]}
                className="absolute right-0 left-0"
                style={{ top: at * ROW, height: ROW }}
              />
            ))}
          </div>
        </div>
        <div
          role="separator"
          aria-label="Width of the names"
          aria-orientation="vertical"
          aria-valuenow={Math.round(share * 100)}
          aria-valuemin={10}
          aria-valuemax={60}
          tabIndex={0}
          onPointerDown={(e) => { e.currentTarget.setPointerCapture(e.pointerId) }}
          onPointerMove={(e) => {
            if (!e.currentTarget.hasPointerCapture(e.pointerId) || !box.current) return
            setShare(Math.min(0.6, Math.max(0.1, (e.clientX - box.current.getBoundingClientRect().left) / width)))
          }}
          onKeyDown={(e) => {
            const by = { ArrowLeft: -0.02, ArrowRight: 0.02 }[e.key]
            if (by) setShare(Math.min(0.6, Math.max(0.1, share + by)))
          }}
          className="absolute inset-y-0 w-2 cursor-col-resize touch-none"
          style={{ left: gutter - 5 }}
        />
      </div>
      {hover && hover.row < tree.count && hover.x > gutter && <Hint text={describe(hover.row)} x={hover.x} y={hover.y} width={width} height={height} />}
    </div>
  )
}

function Hint({ text, x, y, width, height }: { text: string; x: number; y: number; width: number; height: number }) {
  const [name, ...rest] = text.split(', ')
  return (
    <div
      aria-hidden
      className="pointer-events-none absolute z-20 max-w-72 rounded-md border border-line-strong bg-raised px-2.5 py-1.5 text-xs shadow-float"
      style={{ left: Math.min(x + 14, width - 240), top: y + 60 > height ? y - 54 : y + 16 }}
    >
      <div className="truncate font-medium">{name}</div>
      <div className="text-muted">{rest.join(' · ')}</div>
    </div>
  )
}

let marked = false

/** Leave a mark in the browser's own timeline of the page: what a reader waited for is here. */
function drawn() {
  if (!marked) performance.mark('timeline drawn')
  marked = true
}

function packedOnce(cache: Map<string, number>, hex: string): number {
  let value = cache.get(hex)
  if (value === undefined) cache.set(hex, (value = packed(hex)))
  return value
}

function groupByRow(path: readonly Segment[]): ReadonlyMap<number, readonly Segment[]> {
  return new Map([...groupBy(path, (segment) => String(segment.row))].map(([row, parts]) => [Number(row), parts]))
}
