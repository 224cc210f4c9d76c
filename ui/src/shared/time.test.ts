import { expect, test } from 'vitest'
import { micros } from './time'

test('microseconds survive', () => {
  expect(micros('2026-01-31T12:00:00.000001Z') - micros('2026-01-31T12:00:00Z')).toBe(1)
  expect(micros('1970-01-01T00:00:01.5Z')).toBe(1_500_000)
  expect(micros('1970-01-01T01:00:00+01:00')).toBe(0)
})

test('what is no time is NaN', () => {
  expect(micros('yesterday')).toBeNaN()
})
