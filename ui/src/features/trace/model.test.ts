import { expect, test } from 'vitest'
import type { Failure, Message, SpanSkeleton, TraceSummary } from '@/api/types'
import { decisiveFailure, edgeKey, gather, linksOf, NOTHING, selectionOf, targetOf, viewOf, withSelection } from './model'

const skeleton: SpanSkeleton = {
  trace_id: 't', start_time: '2026-01-01T00:00:00Z', span_id: ['s1', 's2'], parent: [-1, 0], start_us: [0, 10], duration_us: [100, 5],
  name: [0, 0], kind: [0, 0], agent: [-1, 0], model: [-1, -1], status: [0, 0], tokens: [0, 0], names: ['run'], kinds: ['agent'], agents: ['planner'], models: [],
  missing: {},
  joined: [],
}

const message = (id: string, sender: string, recipient: string, span = 's2'): Message => ({
  message_id: id, trace_id: 't', span_id: span, sender, recipient, type: 'task', content: '', content_hash: '', sent_at: '2026-01-01T00:00:00.000050Z',
  caused_by: null, audience: [], tokens: null, provenance: 'observed',
  checkpoint_id: null, confidence: 1,
})

const failure = (changes: Partial<Failure>): Failure => ({
  annotation_id: 'f', trace_id: 't', mode: '1.3', category: 'c', subcategory: 's', classifier: 'x', span_id: null, message_id: null, agent: null,
  severity: 'low', confidence: 1, evidence: '', explanation: '', decisive: false, shown: true, review: 'proposed', reviewer: null, also_by: [], reviewed_at: null, comment: '', found_mode: null, ...changes,
})

const data = gather(
  {} as TraceSummary,
  skeleton,
  [],
  [message('m1', 'planner', 'user'), message('m2', 'user', 'planner', 's1'), message('m3', 'planner', 'coder')],
  { trace_id: 't', nodes: [], edges: [], metrics: { nodes: 0, edges: 0, messages: 0, density: 0, components: 0, cycles: [], delegation_cycles: [], truncated: false, approximate: false } },
  [failure({ annotation_id: 'f1', message_id: 'm3' }), failure({ annotation_id: 'f2', span_id: 's2', review: 'rejected', shown: false })],
)

test('a selection survives the address', () => {
  for (const selection of [
    { kind: 'span', spanId: 's1' }, { kind: 'message', messageId: 'm/1&2' }, { kind: 'agent', name: 'a b' }, { kind: 'edge', sender: 'a', recipient: 'b' }, NOTHING,
  ] as const) {
    const params = withSelection(new URLSearchParams('view=graph&span=old'), selection)
    expect(selectionOf(new URLSearchParams(params.toString()))).toEqual(selection)
    expect(viewOf(params)).toBe('graph')
  }
})

test('an unknown view is the overview', () => {
  expect(viewOf(new URLSearchParams('view=nonsense'))).toBe('overview')
})

test('messages know when they were sent, and the user comes first', () => {
  expect(data.messages[0]?.atUs).toBe(50)
  expect(data.participants).toEqual(['user', 'planner', 'coder'])
  expect(data.colourOf('planner')).not.toBe(data.colourOf('coder'))
})

test('a message brings its span, its agents and its edge with it', () => {
  const links = linksOf({ kind: 'message', messageId: 'm3' }, data)

  expect([...links.spans]).toEqual(['s2'])
  expect([...links.agents]).toEqual(['planner', 'coder'])
  expect([...links.edges]).toEqual([edgeKey('planner', 'coder')])
})

test('a span brings its agent and what was said during it; an agent all its talk; an edge its messages', () => {
  expect([...linksOf({ kind: 'span', spanId: 's2' }, data).agents]).toEqual(['planner'])
  expect([...linksOf({ kind: 'span', spanId: 's2' }, data).messages]).toEqual(['m1', 'm3'])
  expect([...linksOf({ kind: 'agent', name: 'coder' }, data).messages]).toEqual(['m3'])
  expect([...linksOf({ kind: 'edge', sender: 'user', recipient: 'planner' }, data).messages]).toEqual(['m2'])
  expect(linksOf({ kind: 'message', messageId: 'gone' }, data).messages.size).toBe(0)
})

test('the decisive failure is the one marked so, else a severe one, never a rejected one', () => {
  expect(decisiveFailure([failure({ severity: 'high' }), failure({ annotation_id: 'd', decisive: true })])?.annotation_id).toBe('d')
  expect(decisiveFailure([failure({ severity: 'high' })])?.severity).toBe('high')
  expect(decisiveFailure([failure({ decisive: true, review: 'rejected', shown: false }), failure({})])).toBeNull()
})

test('a failure leads to its message, else its span, else its agent', () => {
  expect(targetOf(failure({ message_id: 'm1', span_id: 's1' }), data)).toEqual({ kind: 'message', messageId: 'm1' })
  expect(targetOf(failure({ message_id: 'gone', span_id: 's1' }), data)).toEqual({ kind: 'span', spanId: 's1' })
  expect(targetOf(failure({ agent: 'coder' }), data)).toEqual({ kind: 'agent', name: 'coder' })
  expect(targetOf(failure({}), data)).toEqual(NOTHING)
})

test('rejected failures mark nothing', () => {
  expect([...data.failuresOfMessage.keys()]).toEqual(['m3'])
  expect(data.failuresOfSpan.size).toBe(0)
})
