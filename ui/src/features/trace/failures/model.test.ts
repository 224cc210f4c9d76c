import { expect, test } from 'vitest'
import type { Failure } from '@/api/types'
import { codeOf, filterOf, nameOf, title } from '@/shared/failureNames'
import { arrange, changeOf, finders, placeOf } from './model'

function failure(changes: Partial<Failure>): Failure {
  return {
    annotation_id: 'f', trace_id: 't', mode: '1.3', category: 'specification', subcategory: 'step_repetition', classifier: 'mast',
    span_id: null, message_id: null, agent: null, severity: 'medium', confidence: 0.9, evidence: '', explanation: '',
    decisive: false, shown: true, review: 'proposed', reviewer: null, also_by: [], reviewed_at: null, comment: '', found_mode: null, ...changes,
  }
}

test('the decisive failure comes first, whatever its severity', () => {
  const { groups } = arrange([failure({ severity: 'critical', category: 'a' }), failure({ decisive: true, severity: 'low', category: 'b' })])

  expect(groups.map((g) => g.category)).toEqual(['b', 'a'])
})

test('the same thing again and again is one kind', () => {
  const { groups } = arrange([failure({ annotation_id: '1' }), failure({ annotation_id: '2' }), failure({ annotation_id: '3', mode: '1.1' })])

  expect(groups[0]?.kinds.map((k) => [k.name, k.failures.length])).toEqual([['Step repetition', 2], ['Disobeyed task specification', 1]])
})

test('doubtful and rejected findings are kept apart', () => {
  const sorted = arrange([failure({ shown: false }), failure({ review: 'rejected', shown: false }), failure({ confidence: 0.3, review: 'confirmed' })])

  expect([sorted.groups.length, sorted.doubtful.length, sorted.rejected.length]).toEqual([1, 1, 1])
})

test('failures have names people know', () => {
  expect(nameOf(failure({}))).toBe('Step repetition')
  expect(codeOf(failure({}))).toBe('1.3')
  expect(nameOf(failure({ mode: 'tool_error', subcategory: 'tool_error_ignored' }))).toBe('Tool error ignored')
  expect(codeOf(failure({ mode: 'tool_error' }))).toBeNull()
  expect(filterOf(failure({}))).toBe('1.3')
  expect(title('inter-agent_misalignment')).toBe('Inter-agent misalignment')
})

test('who found it is said, people included', () => {
  expect(finders(failure({ also_by: ['judge'] }))).toBe('found by mast, judge')
  expect(finders(failure({ classifier: 'person', reviewer: 'ann' }))).toBe('added by ann')
})

test('only what is new of a verdict is sent', () => {
  const same = { mode: '1.3', comment: '', decisive: false }

  expect(changeOf(failure({}), same)).toBeNull()
  expect(changeOf(failure({}), { ...same, mode: '1.1' })).toEqual({ mode: '1.1' })
  expect(changeOf(failure({}), { ...same, decisive: true, comment: 'here' })).toEqual({ comment: 'here', decisive: true, review: 'confirmed' })
})

test('a new finding is pinned to what is selected', () => {
  const data = { messageOf: new Map(), rowOf: new Map([['s', 0]]), skeleton: { name: ['search'] } } as unknown as Parameters<typeof placeOf>[1]

  expect(placeOf({ kind: 'span', spanId: 's' }, data)).toEqual({ name: 'the span search', pinned: { span_id: 's' } })
  expect(placeOf({ kind: 'message', messageId: 'gone' }, data).pinned).toEqual({})
  expect(placeOf({ kind: 'edge', sender: 'a', recipient: 'b' }, data).pinned).toEqual({ agent: 'a' })
})
