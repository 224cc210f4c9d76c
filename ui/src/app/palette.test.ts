import { expect, test } from 'vitest'
import { rank, score } from './palette'

const command = (label: string) => ({ id: label, label, group: '', run: () => undefined })

test('what is typed whole fits best, then the beginnings of words', () => {
  const labels = ['Settings', 'Go to traces', 'Light or dark'].map(command)

  expect(rank(labels, 'trac')[0]?.label).toBe('Go to traces')
  expect(rank(labels, 'ld').map((c) => c.label)).toContain('Light or dark')
  expect(rank(labels, 'zzz')).toEqual([])
})

test('an empty text fits everything alike', () => {
  expect(score('anything', '')).toBe(score('else', ' '))
})
