/** Draws rows, axis and minimap on canvas. Sizes are CSS pixels; the caller scales for the display. */
import type { SpanSkeleton } from '@/api/types'
import { duration } from '@/shared/format'
import type { Segment, Tree, Window } from './model'
import { endOf, startOf, tickLabel, ticks } from './model'

export const ROW = 24
export const AXIS = 24
export const MINIMAP = 34
const INDENT = 12
const MAX_INDENT = 14

export interface Theme {
  panel: string
  text: string
  muted: string
  faint: string
  line: string
  hover: string
  selected: string
  danger: string
  warn: string
  accent: string
}

export interface Scene {
  skeleton: SpanSkeleton
  tree: Tree
  rows: Int32Array
  window: Window
  width: number
  height: number
  /** Width of the names on the left. */
  gutter: number
  scrollTop: number
  /** Colour of a row's bar. */
  colour: (row: number) => string
  folded: ReadonlySet<number>
  selectedRow: number
  hoverRow: number
  /** Rows that relate to the selection; null: all the same. */
  bright: ReadonlySet<number> | null
  /** Rows that fit the filter; null: no filter. */
  found: Uint8Array | null
  failed: ReadonlySet<number>
  critical: ReadonlyMap<number, readonly Segment[]> | null
  theme: Theme
}

export function indentOf(depth: number): number {
  return 8 + Math.min(depth, MAX_INDENT) * INDENT
}

export function xOf(scene: Pick<Scene, 'window' | 'width' | 'gutter'>, us: number): number {
  const { fromUs, toUs } = scene.window
  return scene.gutter + ((us - fromUs) / (toUs - fromUs || 1)) * (scene.width - scene.gutter - 12)
}

export function usAt(scene: Pick<Scene, 'window' | 'width' | 'gutter'>, x: number): number {
  const { fromUs, toUs } = scene.window
  return fromUs + ((x - scene.gutter) / (scene.width - scene.gutter - 12)) * (toUs - fromUs)
}

export function paintAxis(ctx: CanvasRenderingContext2D, scene: Scene): void {
  const { width, gutter, theme, window } = scene
  ctx.clearRect(0, 0, width, AXIS)
  ctx.font = '11px "Inter Variable", sans-serif'
  ctx.textBaseline = 'middle'
  const marks = ticks(window.fromUs, window.toUs, width - gutter)
  const step = (marks[1] ?? 0) - (marks[0] ?? 0) || window.toUs - window.fromUs
  let free = gutter
  for (const us of marks) {
    const x = xOf(scene, us)
    ctx.fillStyle = theme.line
    ctx.fillRect(Math.round(x), AXIS - 6, 1, 6)
    const label = tickLabel(us, step)
    const wide = ctx.measureText(label).width
    if (x + 4 < free || x + 4 + wide > width) continue
    ctx.fillStyle = theme.muted
    ctx.fillText(label, x + 4, AXIS / 2 - 1)
    free = x + wide + 12
  }
}

/** Draw the rows in sight. Cost depends on the height of the picture, not on the size of the trace. */
export function paintRows(ctx: CanvasRenderingContext2D, scene: Scene): void {
  const { width, height, rows, scrollTop, theme, gutter, window } = scene
  ctx.clearRect(0, 0, width, height)
  const first = Math.max(0, Math.floor(scrollTop / ROW))
  const last = Math.min(rows.length, Math.ceil((scrollTop + height) / ROW))
  for (let at = first; at < last; at++) {
    const row = rows[at] ?? 0
    const y = at * ROW - scrollTop
    if (row === scene.selectedRow || row === scene.hoverRow) {
      ctx.fillStyle = row === scene.selectedRow ? theme.selected : theme.hover
      ctx.fillRect(0, y, width, ROW)
    }
  }
  ctx.fillStyle = theme.line
  for (const us of ticks(window.fromUs, window.toUs, width - gutter)) ctx.fillRect(Math.round(xOf(scene, us)), 0, 1, height)
  for (let at = first; at < last; at++) paintRow(ctx, scene, rows[at] ?? 0, at * ROW - scrollTop)
  ctx.fillStyle = theme.line
  ctx.fillRect(gutter - 1, 0, 1, height)
}

function paintRow(ctx: CanvasRenderingContext2D, scene: Scene, row: number, y: number): void {
  const { skeleton, tree, theme, gutter, width } = scene
  const waiting = row >= tree.count
  const depth = tree.depth[row] ?? 0
  const dim = (scene.found !== null && !waiting && !scene.found[row]) || (scene.bright !== null && !scene.bright.has(row))
  const failed = !waiting && skeleton.status[row] === 2
  const x0 = indentOf(depth)
  const middle = y + ROW / 2
  ctx.globalAlpha = dim ? 0.38 : 1

  if ((tree.size[row] ?? 0) > 0) paintCaret(ctx, x0, middle, scene.folded.has(row), theme.faint)
  ctx.save()
  ctx.beginPath()
  ctx.rect(0, y, gutter - 6, ROW)
  ctx.clip()
  ctx.textBaseline = 'middle'
  let x = x0 + 12
  const colour = waiting ? theme.faint : scene.colour(row)
  ctx.fillStyle = colour
  ctx.beginPath()
  ctx.roundRect(x, middle - 4, 8, 8, 2.5)
  ctx.fill()
  x += 13
  ctx.font = `${row === scene.selectedRow ? '600' : '450'} 12px "Inter Variable", sans-serif`
  ctx.fillStyle = failed ? theme.danger : waiting ? theme.faint : theme.text
  const name = waiting ? 'parent has not arrived' : (skeleton.names[skeleton.name[row] ?? -1] ?? '')
  const room = gutter - 10 - x
  ctx.fillText(cut(ctx, name, room), x, middle + 0.5)
  const agent = waiting ? '' : (skeleton.agents[skeleton.agent[row] ?? -1] ?? '')
  if (agent && !name.includes(agent)) {
    const used = ctx.measureText(name).width + 8
    if (room - used > 34) {
      ctx.font = '11px "Inter Variable", sans-serif'
      ctx.fillStyle = theme.faint
      ctx.fillText(cut(ctx, agent, room - used), x + used, middle + 0.5)
    }
  }
  ctx.restore()

  const start = waiting ? (tree.placeholder?.startUs ?? 0) : startOf(skeleton, row)
  const end = waiting ? start + (tree.placeholder?.durationUs ?? 0) : endOf(skeleton, row)
  const left = Math.max(gutter, xOf(scene, start))
  const right = Math.min(width, Math.max(xOf(scene, end), xOf(scene, start) + 2.5))
  if (right <= gutter || left >= width) {
    paintArrowOut(ctx, right <= gutter ? gutter + 5 : width - 5, middle, right <= gutter ? -1 : 1, colour)
    ctx.globalAlpha = 1
    return
  }
  const wide = Math.max(2.5, right - left)
  ctx.beginPath()
  ctx.roundRect(left, y + 6, wide, ROW - 12, Math.min(3, wide / 2))
  if (waiting) {
    ctx.setLineDash([4, 3])
    ctx.strokeStyle = theme.faint
    ctx.stroke()
    ctx.setLineDash([])
  } else {
    ctx.fillStyle = colour
    ctx.globalAlpha *= 0.82
    ctx.fill()
    ctx.globalAlpha = dim ? 0.38 : 1
    if (failed) {
      ctx.strokeStyle = theme.danger
      ctx.lineWidth = 2
      ctx.stroke()
      ctx.lineWidth = 1
    }
  }
  const path = scene.critical?.get(row)
  if (path) {
    ctx.fillStyle = theme.text
    for (const part of path) {
      const from = Math.max(gutter, xOf(scene, part.startUs))
      const to = Math.min(width, xOf(scene, part.endUs))
      if (to - from > 1.5) ctx.fillRect(from, y + ROW - 6, to - from, 2)
    }
  }
  ctx.font = '10.5px "Inter Variable", sans-serif'
  const label = waiting ? '' : duration(skeleton.duration_us[row] ?? 0)
  const labelWide = ctx.measureText(label).width
  let after = right + 6
  if (scene.failed.has(row)) {
    paintWarning(ctx, after + 5, middle, theme.warn)
    after += 15
  }
  ctx.textBaseline = 'middle'
  if (after + labelWide < width - 4) {
    ctx.fillStyle = failed ? theme.danger : theme.muted
    ctx.fillText(label, after, middle + 0.5)
  } else if (left - labelWide - 8 > gutter) {
    ctx.fillStyle = failed ? theme.danger : theme.muted
    ctx.fillText(label, left - labelWide - 6, middle + 0.5)
  } else if (wide > labelWide + 16) {
    // On the bar itself the panel's colour reads well in both themes.
    ctx.font = '600 10.5px "Inter Variable", sans-serif'
    ctx.fillStyle = theme.panel
    ctx.fillText(label, right - ctx.measureText(label).width - 6, middle + 0.5)
  }
  ctx.globalAlpha = 1
}

function paintCaret(ctx: CanvasRenderingContext2D, x: number, y: number, folded: boolean, colour: string): void {
  ctx.strokeStyle = colour
  ctx.lineWidth = 1.5
  ctx.beginPath()
  if (folded) {
    ctx.moveTo(x + 1.5, y - 3.5)
    ctx.lineTo(x + 5, y)
    ctx.lineTo(x + 1.5, y + 3.5)
  } else {
    ctx.moveTo(x, y - 1.5)
    ctx.lineTo(x + 3.5, y + 2)
    ctx.lineTo(x + 7, y - 1.5)
  }
  ctx.stroke()
  ctx.lineWidth = 1
}

function paintWarning(ctx: CanvasRenderingContext2D, x: number, y: number, colour: string): void {
  ctx.fillStyle = colour
  ctx.beginPath()
  ctx.moveTo(x, y - 5.5)
  ctx.lineTo(x + 5.5, y + 4.5)
  ctx.lineTo(x - 5.5, y + 4.5)
  ctx.closePath()
  ctx.fill()
}

function paintArrowOut(ctx: CanvasRenderingContext2D, x: number, y: number, way: number, colour: string): void {
  ctx.fillStyle = colour
  ctx.beginPath()
  ctx.moveTo(x + way * 3, y)
  ctx.lineTo(x - way * 2, y - 3.5)
  ctx.lineTo(x - way * 2, y + 3.5)
  ctx.closePath()
  ctx.fill()
}

/** Cuts by guessing from the average width: one or two measurements instead of one per letter. */
function cut(ctx: CanvasRenderingContext2D, text: string, room: number): string {
  const wide = ctx.measureText(text).width
  if (wide <= room) return text
  if (room < 12) return ''
  let length = Math.max(1, Math.floor((text.length * (room - 10)) / wide))
  let short = `${text.slice(0, length)}…`
  while (length > 1 && ctx.measureText(short).width > room) {
    length--
    short = `${text.slice(0, length)}…`
  }
  return short
}

/** The whole trace as one small picture, written pixel by pixel: 50,000 spans in a few milliseconds. */
export function paintMinimap(ctx: CanvasRenderingContext2D, scene: Pick<Scene, 'skeleton' | 'tree' | 'theme'>, rgb: (row: number) => number, width: number): void {
  const { skeleton, tree } = scene
  const height = MINIMAP - 8
  const image = ctx.createImageData(Math.max(1, width), MINIMAP)
  const pixels = new Uint32Array(image.data.buffer)
  const total = Math.max(1, tree.order.length)
  const thick = Math.max(1, Math.min(3, Math.floor(height / total)))
  const scale = width / tree.endUs
  for (let at = 0; at < tree.order.length; at++) {
    const row = tree.order[at] ?? 0
    if (row >= tree.count) continue
    const y = 4 + Math.floor((at / total) * height)
    const from = Math.floor(startOf(skeleton, row) * scale)
    const to = Math.min(width, Math.max(from + 1, Math.ceil(endOf(skeleton, row) * scale)))
    const colour = rgb(row)
    for (let line = 0; line < thick; line++) pixels.fill(colour, (y + line) * width + from, (y + line) * width + to)
  }
  ctx.putImageData(image, 0, 0)
}

/** `#rrggbb` as the number that ImageData wants, little-endian RGBA. */
export function packed(hex: string): number {
  const value = Number.parseInt(hex.replace('#', '').slice(0, 6), 16) || 0
  const r = (value >> 16) & 255
  const g = (value >> 8) & 255
  const b = value & 255
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0
}
