/** Which words of a text changed; the server says so for messages, this says so before anything runs. */
import type { Piece } from '@/api/types'

/** Texts with more words than this are compared as a whole. */
const MOST = 1200

/** The pieces of two texts, word by word, by their longest common subsequence. O(words²), bounded. */
export function compareWords(left: string, right: string): Piece[] {
  const a = tokens(left)
  const b = tokens(right)
  if (a.length > MOST || b.length > MOST) return joined([{ op: 'removed', text: left }, { op: 'added', text: right }])
  const width = b.length + 1
  const lengths = new Uint16Array((a.length + 1) * width)
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const pieces: Piece[] = []
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      pieces.push({ op: 'same', text: a[i] ?? '' })
      i++
      j++
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) {
      pieces.push({ op: 'removed', text: a[i++] ?? '' })
    } else {
      pieces.push({ op: 'added', text: b[j++] ?? '' })
    }
  }
  return joined(pieces)
}

function tokens(text: string): string[] {
  return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? []
}

/** Neighbours of one kind as one piece; empty ones are left out. */
function joined(pieces: readonly Piece[]): Piece[] {
  const out: Piece[] = []
  for (const piece of pieces) {
    if (!piece.text) continue
    const last = out.at(-1)
    if (last?.op === piece.op) out[out.length - 1] = { op: last.op, text: last.text + piece.text }
    else out.push(piece)
  }
  return out
}

/** One side of a comparison: what is in both, and what only this side has. */
export function sideOf(pieces: readonly Piece[], side: 'left' | 'right'): Piece[] {
  const other = side === 'left' ? 'added' : 'removed'
  return pieces.filter((piece) => piece.op !== other)
}
