import { expect, test } from 'vitest'
import { ago, bytes, cost, count, duration, nameParts, offset, plural } from './format'

test('a duration keeps the unit people would say', () => {
  expect([0, 820, 4200, 12_000, 1_240_000, 31_400_000, 125_000_000, 3_780_000_000].map(duration)).toEqual([
    '0 ms', '820 µs', '4.2 ms', '12 ms', '1.24 s', '31.4 s', '2 m 05 s', '1 h 03 m',
  ])
})

test('a duration never rounds up into the wrong unit', () => {
  expect(duration(999_499)).toBe('999 ms')
  expect(duration(999_600)).toBe('1.00 s')
  expect(duration(-5)).toBe('–')
})

test('counts, costs and sizes are short', () => {
  expect([940, 1000, 12_400, 999_960].map(count)).toEqual(['940', '1k', '12.4k', '1M'])
  expect([null, 0, 0.0012, 1.5].map(cost)).toEqual(['–', '$0', '$0.0012', '$1.50'])
  expect([512, 1400, 3_000_000].map(bytes)).toEqual(['512 B', '1.4 kB', '3.0 MB'])
  expect(plural(1, 'span')).toBe('1 span')
  expect(plural(2, 'span')).toBe('2 spans')
})

test('moments are relative to a start or to now', () => {
  expect(offset(65_000_000)).toBe('+1:05')
  expect(offset(1_230_000)).toBe('+1.23 s')
  expect(ago(1000, 1000 + 125_000)).toBe('2 min ago')
})

test('a name is read without the operation every row begins with', () => {
  expect(nameParts('invoke_workflow research team')).toEqual({ operation: 'invoke_workflow', rest: 'research team' })
  expect(nameParts('invoke_workflow')).toEqual({ operation: '', rest: 'invoke_workflow' })
  expect(nameParts('')).toEqual({ operation: '', rest: '(no name)' })
})
