/** The span tree as rows: depth-first, foldable, in typed arrays that hold 200,000 spans easily. */
import type { SpanSkeleton } from '@/api/types'

/**
 * `order` lists rows depth-first; `depth` and `size` (descendants) are by row. Row `count` is a
 * placeholder that stands for parents that have not arrived; it is in `order` only if needed.
 */
export interface Tree {
  count: number
  order: Int32Array
  depth: Uint16Array
  size: Int32Array
  /** Position in `order`, by row. */
  position: Int32Array
  parent: Int32Array
  /** Microseconds from the start of the trace to its end. */
  endUs: number
  /** Start and duration of the placeholder. */
  placeholder: { startUs: number; durationUs: number } | null
}

const MAX_DEPTH = 65_535

/** Arrange the spans as a tree. O(n). Cycles of parents are cut where they are first met. */
export function growTree(skeleton: SpanSkeleton): Tree {
  const count = skeleton.span_id.length
  const parent = new Int32Array(count + 1)
  const firstChild = new Int32Array(count + 2).fill(-1)
  const lastChild = new Int32Array(count + 2).fill(-1)
  const nextSibling = new Int32Array(count + 1).fill(-1)
  const top = count + 1
  let endUs = 1
  let orphanStart = Infinity
  let orphanEnd = 0
  const attach = (row: number, to: number) => {
    const last = lastChild[to] ?? -1
    if (last < 0) firstChild[to] = row
    else nextSibling[last] = row
    lastChild[to] = row
  }
  const hasOrphans = skeleton.parent.includes(-2)
  // The placeholder comes first: that is where the real parent will be once it has arrived.
  if (hasOrphans) attach(count, top)
  for (let row = 0; row < count; row++) {
    const start = skeleton.start_us[row] ?? 0
    const end = start + (skeleton.duration_us[row] ?? 0)
    if (end > endUs) endUs = end
    let to = skeleton.parent[row] ?? -1
    if (to === -2) {
      orphanStart = Math.min(orphanStart, start)
      orphanEnd = Math.max(orphanEnd, end)
      to = count
    } else if (to < 0 || to >= count || to === row) to = top
    parent[row] = to === top ? -1 : to
    attach(row, to)
  }
  parent[count] = -1

  const order = new Int32Array(count + 1)
  const depth = new Uint16Array(count + 1)
  const size = new Int32Array(count + 1)
  const position = new Int32Array(count + 1).fill(-1)
  let filled = 0
  const walk = (from: number) => {
    const stack: number[] = [from]
    while (stack.length) {
      const row = stack.pop() ?? -1
      if (row < 0) continue
      const sibling = nextSibling[row] ?? -1
      if (row !== from && sibling >= 0) stack.push(sibling)
      if ((position[row] ?? 0) >= 0) continue
      position[row] = filled
      order[filled++] = row
      const child = firstChild[row] ?? -1
      if (child >= 0) {
        const level = Math.min(MAX_DEPTH, (depth[row] ?? 0) + 1)
        for (let c = child; c >= 0; c = nextSibling[c] ?? -1) depth[c] = level
        stack.push(child)
      }
    }
  }
  for (let row = firstChild[top] ?? -1; row >= 0; row = nextSibling[row] ?? -1) walk(row)
  // Spans that are each other's ancestors hang on nothing: each such ring starts at its earliest span.
  for (let row = 0; row < count && filled < count; row++) {
    if ((position[row] ?? 0) < 0) {
      depth[row] = 0
      parent[row] = -1
      walk(row)
    }
  }
  for (let at = filled - 1; at >= 0; at--) {
    const row = order[at] ?? 0
    const up = parent[row] ?? -1
    if (up >= 0 && (position[up] ?? 0) < at) size[up] = (size[up] ?? 0) + (size[row] ?? 0) + 1
  }
  return {
    count,
    order: order.subarray(0, filled),
    depth,
    size,
    position,
    parent,
    endUs,
    placeholder: hasOrphans ? { startUs: orphanStart, durationUs: Math.max(0, orphanEnd - orphanStart) } : null,
  }
}

/** Rows to draw, in order, with those under a folded row left out. O(n). */
export function visibleRows(tree: Tree, folded: ReadonlySet<number>): Int32Array {
  if (!folded.size) return tree.order
  const rows = new Int32Array(tree.order.length)
  let filled = 0
  for (let at = 0; at < tree.order.length; at++) {
    const row = tree.order[at] ?? 0
    rows[filled++] = row
    if (folded.has(row)) at += tree.size[row] ?? 0
  }
  return rows.subarray(0, filled)
}

/** The ancestors of a row, nearest first. */
export function ancestorsOf(tree: Tree, row: number): number[] {
  const found: number[] = []
  for (let up = tree.parent[row] ?? -1; up >= 0 && !found.includes(up); up = tree.parent[up] ?? -1) found.push(up)
  return found
}

export interface Segment {
  row: number
  startUs: number
  endUs: number
}

/**
 * What the trace waited for: from its end backwards, always the child that finished last.
 * Segments come latest first. (The rule of Jaeger's critical path.)
 */
export function criticalPath(skeleton: SpanSkeleton, tree: Tree): Segment[] {
  let root = -1
  for (const row of tree.order) {
    if (row < tree.count && (tree.depth[row] ?? 0) === 0 && (root < 0 || endOf(skeleton, row) - startOf(skeleton, row) > endOf(skeleton, root) - startOf(skeleton, root))) root = row
  }
  if (root < 0) return []
  const byEnd = (rows: number[]) => rows.sort((a, b) => endOf(skeleton, b) - endOf(skeleton, a))
  const children = (row: number) => {
    const found: number[] = []
    const at = tree.position[row] ?? 0
    const last = at + (tree.size[row] ?? 0)
    for (let i = at + 1; i <= last; i += 1 + (tree.size[tree.order[i] ?? 0] ?? 0)) found.push(tree.order[i] ?? 0)
    return byEnd(found)
  }
  const segments: Segment[] = []
  const stack = [{ row: root, until: endOf(skeleton, root), rest: children(root) }]
  while (stack.length) {
    const frame = stack[stack.length - 1]
    if (!frame) break
    const start = startOf(skeleton, frame.row)
    let next = frame.rest.shift()
    // A child that outlives what we are explaining was not waited for.
    while (next !== undefined && endOf(skeleton, next) > frame.until + 1) next = frame.rest.shift()
    if (next === undefined || endOf(skeleton, next) <= start) {
      if (frame.until > start) segments.push({ row: frame.row, startUs: start, endUs: frame.until })
      stack.pop()
      const above = stack[stack.length - 1]
      if (above) above.until = Math.min(above.until, start)
      continue
    }
    const end = endOf(skeleton, next)
    if (frame.until > end) segments.push({ row: frame.row, startUs: end, endUs: frame.until })
    frame.until = end
    stack.push({ row: next, until: end, rest: children(next) })
  }
  return segments
}

export function startOf(skeleton: SpanSkeleton, row: number): number {
  return skeleton.start_us[row] ?? 0
}

export function endOf(skeleton: SpanSkeleton, row: number): number {
  return (skeleton.start_us[row] ?? 0) + (skeleton.duration_us[row] ?? 0)
}

/** Round moments for an axis of `width` pixels, about one per 110. */
export function ticks(fromUs: number, toUs: number, width: number): number[] {
  const span = toUs - fromUs
  if (span <= 0 || width <= 0) return []
  const rough = span / Math.max(1, width / 110)
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? power * 10
  const found: number[] = []
  for (let t = Math.ceil(fromUs / step) * step; t <= toUs; t += step) found.push(t)
  return found
}

/** A tick's name with as many digits as its neighbours differ in. */
export function tickLabel(us: number, stepUs: number): string {
  if (us === 0) return '0'
  if (stepUs < 1000) return `${String(Math.round(us))} µs`
  if (stepUs < 100_000) return us >= 1e6 ? `${(us / 1e6).toFixed(stepUs < 10_000 ? 3 : 2)} s` : `${String(Math.round(us / 1000))} ms`
  if (us < 60e6) return `${(us / 1e6).toFixed(stepUs < 1e6 ? 1 : 0)} s`
  const seconds = us / 1e6
  const rest = seconds % 60
  return `${String(Math.floor(seconds / 60))}:${(stepUs < 1e6 ? rest.toFixed(1) : String(Math.round(rest))).padStart(2, '0')} m`
}

/** The part of time that is shown; kept within the trace and never thinner than a microsecond per pixel. */
export interface Window {
  fromUs: number
  toUs: number
}

/** Zoom by `factor` (below 1: closer) around a moment. */
export function zoom(window: Window, factor: number, aroundUs: number, endUs: number): Window {
  const span = Math.min(endUs, Math.max(Math.min(100, endUs), (window.toUs - window.fromUs) * factor))
  const share = (aroundUs - window.fromUs) / (window.toUs - window.fromUs || 1)
  return place(aroundUs - share * span, span, endUs)
}

export function pan(window: Window, byUs: number, endUs: number): Window {
  return place(window.fromUs + byUs, window.toUs - window.fromUs, endUs)
}

function place(fromUs: number, spanUs: number, endUs: number): Window {
  const from = Math.min(Math.max(0, fromUs), Math.max(0, endUs - spanUs))
  return { fromUs: from, toUs: from + spanUs }
}

export interface RowFilter {
  text: string
  kind: string
  agent: string
  errorsOnly: boolean
}

/** Whether a row fulfils the filter; the placeholder never does. */
export function matches(skeleton: SpanSkeleton, row: number, filter: RowFilter): boolean {
  if (row >= skeleton.span_id.length) return false
  const agent = skeleton.agents[skeleton.agent[row] ?? -1] ?? ''
  const kind = skeleton.kinds[skeleton.kind[row] ?? -1] ?? ''
  if (filter.kind && kind !== filter.kind) return false
  if (filter.agent && agent !== filter.agent) return false
  if (filter.errorsOnly && skeleton.status[row] !== 2) return false
  if (!filter.text) return true
  const text = filter.text.toLowerCase()
  const name = skeleton.names[skeleton.name[row] ?? -1] ?? ''
  const model = skeleton.models[skeleton.model[row] ?? -1] ?? ''
  return [name, agent, model, skeleton.span_id[row] ?? ''].some((value) => value.toLowerCase().includes(text))
}
