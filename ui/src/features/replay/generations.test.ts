import { describe, expect, it } from 'vitest'
import { generations } from './generations'

const member = (trace_id: string, replay_of: string | null) => ({ trace_id, replay_of, replay_id: null, name: '', status: 'ok', start_time: '' })

describe('generations', () => {
  it('puts each replay under what it is a replay of', () => {
    const rows = generations([member('a', null), member('b', 'a'), member('c', 'a'), member('d', 'b'), member('lost', 'elsewhere')])

    expect(rows.map(({ member: { trace_id }, depth }) => `${trace_id}${String(depth)}`)).toEqual(['a0', 'b1', 'd2', 'c1', 'lost0'])
  })
})
