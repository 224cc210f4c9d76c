import { expect, test } from 'vitest'
import type { SpanSkeleton } from '@/api/types'
import { ancestorsOf, criticalPath, growTree, matches, pan, tickLabel, ticks, visibleRows, zoom } from './model'

/** Spans as [parent row, start, duration]. */
function skeleton(...spans: [number, number, number][]): SpanSkeleton {
  return {
    trace_id: 't',
    start_time: '2026-01-01T00:00:00Z',
    span_id: spans.map((_, i) => `s${String(i)}`),
    parent: spans.map((s) => s[0]),
    start_us: spans.map((s) => s[1]),
    duration_us: spans.map((s) => s[2]),
    name: spans.map((_, i) => i),
    kind: spans.map(() => 0),
    agent: spans.map(() => 0),
    model: spans.map(() => -1),
    status: spans.map(() => 0),
    tokens: spans.map(() => 0),
    names: spans.map((_, i) => `span ${String(i)}`),
    kinds: ['agent'],
    agents: ['planner'],
    models: [],
  missing: {},
  joined: [],
  }
}

test('rows are depth-first and siblings stay in start order', () => {
  const tree = growTree(skeleton([-1, 0, 100], [0, 10, 20], [0, 40, 20], [1, 12, 5]))

  expect([...tree.order]).toEqual([0, 1, 3, 2])
  expect([...tree.order].map((row) => tree.depth[row])).toEqual([0, 1, 2, 1])
  expect(tree.size[0]).toBe(3)
  expect(tree.endUs).toBe(100)
})

test('a parent that starts after its child still contains it', () => {
  const tree = growTree(skeleton([1, 0, 50], [-1, 5, 100]))

  expect([...tree.order]).toEqual([1, 0])
})

test('spans whose parent has not arrived hang on a placeholder in its place', () => {
  const tree = growTree(skeleton([-2, 10, 20], [0, 12, 5], [-2, 30, 40]))

  expect([...tree.order]).toEqual([3, 0, 1, 2])
  expect(tree.placeholder).toEqual({ startUs: 10, durationUs: 60 })
  expect(tree.size[3]).toBe(3)
})

test('spans that are each other’s ancestors are all shown once', () => {
  const tree = growTree(skeleton([1, 0, 10], [0, 1, 5], [-1, 2, 3], [1, 3, 1]))

  expect([...tree.order].sort()).toEqual([0, 1, 2, 3])
})

test('a chain of ten thousand spans does not overflow the stack', () => {
  const chain = growTree(skeleton(...Array.from({ length: 10_000 }, (_, i): [number, number, number] => [i - 1, i, 1])))

  expect(chain.order.length).toBe(10_000)
  expect(chain.size[0]).toBe(9999)
})

test('a folded row hides what is under it and nothing else', () => {
  const tree = growTree(skeleton([-1, 0, 100], [0, 10, 20], [1, 12, 5], [0, 40, 20]))

  expect([...visibleRows(tree, new Set([1]))]).toEqual([0, 1, 3])
  expect(ancestorsOf(tree, 2)).toEqual([1, 0])
})

test('the critical path follows the child that finished last', () => {
  const spans = skeleton([-1, 0, 100], [0, 10, 30], [0, 20, 60], [0, 85, 10])

  const path = criticalPath(spans, growTree(spans))

  expect(path.map((s) => [s.row, s.startUs, s.endUs])).toEqual([
    [0, 95, 100],
    [3, 85, 95],
    [0, 80, 85],
    [2, 20, 80],
    [0, 0, 20],
  ])
})

test('the critical path never counts a moment twice', () => {
  const spans = skeleton([-1, 0, 100], [0, 10, 80], [1, 15, 30], [1, 50, 39], [0, 20, 200])

  const path = criticalPath(spans, growTree(spans))

  expect(path.reduce((sum, s) => sum + s.endUs - s.startUs, 0)).toBe(100)
})

test('ticks are round and as many as fit', () => {
  expect(ticks(0, 1000, 440)).toEqual([0, 500, 1000])
  expect(ticks(0, 0, 440)).toEqual([])
  expect(tickLabel(1_500_000, 500_000)).toBe('1.5 s')
  expect(tickLabel(125_000_000, 5_000_000)).toBe('2:05 m')
  expect(tickLabel(250, 50)).toBe('250 µs')
})

test('zooming keeps the moment under the pointer, panning stays inside', () => {
  const closer = zoom({ fromUs: 0, toUs: 1000 }, 0.5, 250, 1000)

  expect(closer).toEqual({ fromUs: 125, toUs: 625 })
  expect(pan(closer, 9999, 1000)).toEqual({ fromUs: 500, toUs: 1000 })
  expect(zoom(closer, 100, 250, 1000)).toEqual({ fromUs: 0, toUs: 1000 })
})

test('a filter looks at names, agents, kinds and errors', () => {
  const spans = skeleton([-1, 0, 1])
  const any = { text: '', kind: '', agent: '', errorsOnly: false }

  expect(matches(spans, 0, { ...any, text: 'PLANNER' })).toBe(true)
  expect(matches(spans, 0, { ...any, kind: 'llm' })).toBe(false)
  expect(matches(spans, 0, { ...any, errorsOnly: true })).toBe(false)
  expect(matches(spans, 1, any)).toBe(false)
})
