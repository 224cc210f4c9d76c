import { describe, expect, it } from 'vitest'
import { asRequest, misfit, pointer, read, spoken, withEdit } from './edits'

describe('paths', () => {
  it('are JSON Pointers', () => {
    expect(pointer(['messages', 3, 'a/b~c'])).toBe('/messages/3/a~1b~0c')
    expect(spoken('/messages/3/a~1b~0c')).toBe('messages › 3 › a/b~c')
  })
})

describe('read', () => {
  it('takes texts as they are typed and everything else as JSON', () => {
    expect(read('12', 'eleven')).toEqual({ value: '12' })
    expect(read('12', 11)).toEqual({ value: 12 })
    expect(read('{"a": 1}', {})).toEqual({ value: { a: 1 } })
  })

  it('says what does not fit', () => {
    expect(read('"12"', 11)).toEqual({ problem: 'This is a number; what you wrote is a text.' })
    expect(read('twelve', 11)).toEqual({ problem: 'Write a number as JSON.' })
    expect(misfit(null, [1])).toBeNull()
  })
})

describe('withEdit', () => {
  it('keeps what was there first, however often a place is edited', () => {
    const once = withEdit([], { path: '/a', before: 1, after: 2 })
    const twice = withEdit(once, { path: '/a', before: 2, after: 3 })

    expect(twice).toEqual([{ path: '/a', before: 1, after: 3 }])
    expect(asRequest(twice)).toEqual([{ path: '/a', value: 3 }])
  })

  it('forgets an edit that is taken back, and those inside of what is replaced', () => {
    const inside = withEdit([], { path: '/a/b', before: 1, after: 2 })

    expect(withEdit(inside, { path: '/a', before: { b: 1 }, after: { b: 5 } })).toEqual([{ path: '/a', before: { b: 1 }, after: { b: 5 } }])
    expect(withEdit(inside, { path: '/a/b', before: 2, after: 1 })).toEqual([])
  })
})
