import { describe, expect, it } from 'vitest'
import type { DiffRow } from '@/api/types'
import { blocksOf } from './blocks'

const row = (change: DiffRow['change']): DiffRow => ({ change, left: null, right: null, similarity: 1, words: null })

describe('blocksOf', () => {
  it('folds what is the same and shows each change', () => {
    const rows = (['restored', 'restored', 'same', 'changed', 'changed', 'same', 'same', 'same'] as const).map(row)

    const blocks = blocksOf(rows)

    expect(blocks.map((b) => [b.from, b.change, b.rows.length, b.folded])).toEqual([
      [0, 'restored', 2, true],
      [2, 'same', 1, false],
      [3, 'changed', 1, false],
      [4, 'changed', 1, false],
      [5, 'same', 3, true],
    ])
    expect(blocks.flatMap((b) => b.rows)).toEqual(rows)
  })
})
