import { expect, test } from 'vitest'
import { fillBuckets } from './buckets'

const at = (minutes: number) => ({ time: new Date(minutes * 60_000).toISOString() })

test('empty buckets are there too', () => {
  const filled = fillBuckets([at(0), at(3)], 60, null, 4 * 60_000)

  expect(filled.map((b) => b.point !== null)).toEqual([true, false, false, true, false])
})

test('there are never more than 120', () => {
  expect(fillBuckets([at(0)], 60, 0, 1e10).length).toBe(120)
})

test('all time ends with what happened last, if that is long ago', () => {
  const filled = fillBuckets([at(0), at(2)], 60, null, 1e10)

  expect(filled.map((b) => b.point !== null)).toEqual([true, false, true])
})

test('a single bucket gets empty ones before it', () => {
  const filled = fillBuckets([at(9)], 60, null, 9 * 60_000, 4)

  expect(filled.map((b) => b.point !== null)).toEqual([false, false, false, true])
})
