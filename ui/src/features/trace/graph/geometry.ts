/** Boxes, curves and where they meet. */

export interface Point {
  x: number
  y: number
}

/** A box by its centre. */
export interface Box extends Point {
  width: number
  height: number
}

/** A quadratic curve. */
export interface Curve {
  from: Point
  control: Point
  to: Point
}

export function pointAt(curve: Curve, t: number): Point {
  const u = 1 - t
  return {
    x: u * u * curve.from.x + 2 * u * t * curve.control.x + t * t * curve.to.x,
    y: u * u * curve.from.y + 2 * u * t * curve.control.y + t * t * curve.to.y,
  }
}

export function overlaps(a: Box, b: Box, gap = 0): boolean {
  return Math.abs(a.x - b.x) < (a.width + b.width) / 2 + gap && Math.abs(a.y - b.y) < (a.height + b.height) / 2 + gap
}

export function contains(box: Box, point: Point, margin = 0): boolean {
  return Math.abs(point.x - box.x) <= box.width / 2 + margin && Math.abs(point.y - box.y) <= box.height / 2 + margin
}

/** Where the line from a box's centre towards a point leaves the box, `margin` outside of it. */
export function borderPoint(box: Box, towards: Point, margin: number): Point {
  const dx = towards.x - box.x
  const dy = towards.y - box.y
  if (dx === 0 && dy === 0) return { x: box.x, y: box.y - box.height / 2 - margin }
  const scale = Math.min((box.width / 2 + margin) / Math.abs(dx || 1e-9), (box.height / 2 + margin) / Math.abs(dy || 1e-9))
  return { x: box.x + dx * scale, y: box.y + dy * scale }
}

/** A curve between two boxes that bows to its left by `bend` of their distance. */
export function bow(from: Box, to: Box, bend: number): Curve {
  const dx = to.x - from.x
  const dy = to.y - from.y
  const control = { x: (from.x + to.x) / 2 + dy * bend, y: (from.y + to.y) / 2 - dx * bend }
  return { from: borderPoint(from, control, 2), control, to: borderPoint(to, control, 7) }
}

/** The smallest box around all of them. */
export function bounds(boxes: readonly Box[]): { x: number; y: number; width: number; height: number } {
  let left = Infinity
  let right = -Infinity
  let top = Infinity
  let bottom = -Infinity
  for (const box of boxes) {
    left = Math.min(left, box.x - box.width / 2)
    right = Math.max(right, box.x + box.width / 2)
    top = Math.min(top, box.y - box.height / 2)
    bottom = Math.max(bottom, box.y + box.height / 2)
  }
  return boxes.length ? { x: left, y: top, width: right - left, height: bottom - top } : { x: 0, y: 0, width: 1, height: 1 }
}
