import { expect, test } from 'vitest'
import { between, EVER, sinceOf } from './period'

const NOW = Date.parse('2026-03-01T12:34:56.789Z')
const local = (...parts: [number, number, number, number, number]) => new Date(...parts).toISOString()

test('a period becomes the moment it began', () => {
  expect(sinceOf('1h', NOW)).toBe('2026-03-01T11:34:00.000Z')
})

test('a moment may be given instead of a period', () => {
  expect(sinceOf('2026-01-01T00:00:00Z', NOW)).toBe('2026-01-01T00:00:00Z')
  expect(sinceOf(null, NOW)).toBeUndefined()
  expect(sinceOf(EVER, NOW)).toBeUndefined()
})

test('a stretch of time says its day once', () => {
  const from = local(2026, 2, 1, 9, 5)
  const day = new Date(from).toLocaleDateString(undefined, { day: 'numeric', month: 'short' })

  expect(between(from, local(2026, 2, 1, 10, 0))).toBe(`${day}, 09:05 – 10:00`)
  expect(between(from, local(2026, 2, 2, 10, 0)).split(' – ')).toHaveLength(2)
  expect(between(from, null)).toBe(`since ${day}, 09:05`)
  expect(between(null, from)).toBe(`until ${day}, 09:05`)
  expect(between(null, 'nonsense')).toBe('')
})
