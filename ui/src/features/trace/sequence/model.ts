/** Lifelines and arrows of the message sequence. */
import type { TimedMessage } from '../model'

export interface Lane {
  name: string
  /** Centre, in pixels from the left of the lanes. */
  x: number
  width: number
  folded: boolean
}

const FOLDED_WIDTH = 34
const MIN_WIDTH = 104
const MAX_WIDTH = 240

/** Spread the participants over `width` pixels; folded ones are narrow, the others at least `least`. */
export function layLanes(participants: readonly string[], folded: ReadonlySet<string>, width: number, least = MIN_WIDTH): { lanes: Lane[]; width: number } {
  const open = participants.filter((name) => !folded.has(name)).length
  const free = width - (participants.length - open) * FOLDED_WIDTH
  const each = Math.min(MAX_WIDTH, Math.max(least, open ? free / open : 0))
  let x = 0
  const lanes = participants.map((name) => {
    const isFolded = folded.has(name)
    const own = isFolded ? FOLDED_WIDTH : each
    const lane = { name, x: x + own / 2, width: own, folded: isFolded }
    x += own
    return lane
  })
  return { lanes, width: Math.max(x, 1) }
}

/** Those who take part in the messages, in the given order. */
export function speakers(participants: readonly string[], messages: readonly TimedMessage[]): string[] {
  const present = new Set<string>()
  for (const m of messages) {
    present.add(m.sender)
    present.add(m.recipient)
    for (const name of m.audience) present.add(name)
  }
  return participants.filter((name) => present.has(name))
}

export interface Arrow {
  from: number
  to: number
  self: boolean
  /** Others who heard it. */
  heard: number[]
  /** Where its words go: left edge and width. */
  label: { left: number; width: number; align: 'left' | 'right' | 'center' }
}

const LABEL_MIN = 168

/** The arrow of one message; null if one of the two has no lane. */
export function arrowOf(message: TimedMessage, lanes: ReadonlyMap<string, Lane>, total: number): Arrow | null {
  const from = lanes.get(message.sender)
  const to = lanes.get(message.recipient)
  if (!from || !to) return null
  const heard = message.audience.filter((name) => name !== message.recipient && name !== message.sender).flatMap((name) => lanes.get(name)?.x ?? [])
  const self = from === to
  const left = Math.min(from.x, to.x)
  const span = Math.abs(to.x - from.x)
  if (!self && span >= LABEL_MIN) return { from: from.x, to: to.x, self, heard, label: { left: left + 6, width: span - 12, align: 'center' } }
  // Too short for words: they start at the arrow's left end, or end at its right end near the border.
  const width = Math.min(LABEL_MIN + 60, total)
  const right = Math.max(from.x, to.x)
  if (left + 6 + width <= total) return { from: from.x, to: to.x, self, heard, label: { left: left + 6, width, align: 'left' } }
  return { from: from.x, to: to.x, self, heard, label: { left: Math.max(0, right - 6 - width), width: Math.min(width, right - 6), align: 'right' } }
}
