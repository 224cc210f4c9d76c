import { expect, test } from 'vitest'
import type { TimedMessage } from '../model'
import { arrowOf, layLanes, speakers } from './model'

function message(sender: string, recipient: string, audience: string[] = []): TimedMessage {
  return {
    message_id: 'm', trace_id: 't', span_id: 's', sender, recipient, type: 'task', content: '', content_hash: '', sent_at: '',
    caused_by: null, audience, tokens: null, provenance: 'observed',
  checkpoint_id: null, confidence: 1, atUs: 0, index: 0,
  }
}

test('lanes share the width, and keep a readable one where there are many', () => {
  expect(layLanes(['a', 'b'], new Set(), 400).lanes.map((l) => l.x)).toEqual([100, 300])
  expect(layLanes(Array.from({ length: 20 }, (_, i) => String(i)), new Set(), 400).width).toBe(2080)
})

test('a folded lane is narrow', () => {
  const { lanes } = layLanes(['a', 'b', 'c'], new Set(['b']), 400)

  expect(lanes[1]?.width).toBeLessThan(40)
  expect(lanes[0]?.width).toBeGreaterThan(150)
})

test('only those who speak or are spoken to have a lane', () => {
  expect(speakers(['user', 'a', 'b', 'silent'], [message('a', 'b'), message('user', 'a')])).toEqual(['user', 'a', 'b'])
})

test('words stay within the picture, whichever way the arrow points', () => {
  const { lanes, width } = layLanes(['a', 'b', 'c', 'd'], new Set(), 416)
  const byName = new Map(lanes.map((lane) => [lane.name, lane]))

  for (const [s, r] of [['a', 'b'], ['d', 'c'], ['a', 'd'], ['d', 'd'], ['c', 'b']] as const) {
    const arrow = arrowOf(message(s, r), byName, width)
    expect(arrow?.label.left).toBeGreaterThanOrEqual(0)
    expect((arrow?.label.left ?? 0) + (arrow?.label.width ?? 0)).toBeLessThanOrEqual(width)
  }
})

test('a broadcast names who else heard it', () => {
  const { lanes, width } = layLanes(['a', 'b', 'c'], new Set(), 300)
  const byName = new Map(lanes.map((lane) => [lane.name, lane]))

  expect(arrowOf(message('a', 'b', ['b', 'c']), byName, width)?.heard).toEqual([byName.get('c')?.x])
  expect(arrowOf(message('a', 'nobody'), byName, width)).toBeNull()
})
