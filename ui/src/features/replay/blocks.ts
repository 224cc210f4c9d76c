/** A comparison's rows in blocks: runs of what is the same, or was before the checkpoint, are folded. */
import type { DiffRow } from '@/api/types'

export interface Block {
  /** The place of its first row among all. */
  from: number
  change: DiffRow['change']
  rows: readonly DiffRow[]
  folded: boolean
}

/** What is folded is at least this long; less is quicker read than opened. */
const SHORT = 2

/** O(rows). Every row is in exactly one block, in order. */
export function blocksOf(rows: readonly DiffRow[]): Block[] {
  const blocks: Block[] = []
  let from = 0
  while (from < rows.length) {
    const change = rows[from]?.change ?? 'same'
    const quiet = change === 'same' || change === 'restored'
    let to = from + 1
    if (quiet) while (to < rows.length && rows[to]?.change === change) to++
    blocks.push({ from, change, rows: rows.slice(from, to), folded: quiet && to - from >= SHORT })
    from = to
  }
  return blocks
}
