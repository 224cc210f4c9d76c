import { describe, expect, it } from 'vitest'
import { compareWords, sideOf } from './words'

describe('compareWords', () => {
  it('finds the words that changed', () => {
    expect(compareWords('grew 18.0 % in 2024', 'grew 8.2 % in 2024')).toEqual([
      { op: 'same', text: 'grew ' },
      { op: 'removed', text: '18' },
      { op: 'added', text: '8' },
      { op: 'same', text: '.' },
      { op: 'removed', text: '0' },
      { op: 'added', text: '2' },
      { op: 'same', text: ' % in 2024' },
    ])
  })

  it.each([
    ['', ''],
    ['a b', ''],
    ['', 'a b'],
    ['one two three', 'three two one'],
    ['x '.repeat(2000), 'y '.repeat(2000)],
  ])('keeps both texts whole', (left, right) => {
    const pieces = compareWords(left, right)
    const text = (side: 'left' | 'right') => sideOf(pieces, side).map((p) => p.text).join('')

    expect([text('left'), text('right')]).toEqual([left, right])
  })
})
