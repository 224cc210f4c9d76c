import { expect, test } from 'vitest'
import { failuresOverTime } from './failuresOverTime'

const found = (time: string, mode: string, count: number) => ({ time, mode, subcategory: mode, count })

test('each kind of failure is counted where it was found', () => {
  const { names, at } = failuresOverTime([found('a', '1.3', 1), found('a', 'house', 2), found('b', '1.3', 4)])

  expect(names).toEqual(['Step repetition', 'House'])
  expect(at('a')).toEqual([1, 2])
  expect(at('b')).toEqual([4, 0])
  expect(at('c')).toEqual([0, 0])
})

test('beyond the commonest three all are one', () => {
  const { names, at } = failuresOverTime(['v', 'w', 'x', 'y', 'z'].map((mode, n) => found('a', mode, n + 1)))

  expect(names).toEqual(['Z', 'Y', 'X', 'others'])
  expect(at('a')).toEqual([5, 4, 3, 3])
})
