import { expect, test } from 'vitest'
import type { TraceData } from '../model'
import { knownAt, transcript } from './model'

const message = (id: string, sender: string, recipient: string, atUs: number, audience: string[] = []) => ({
  message_id: id, trace_id: 't', span_id: 's', sender, recipient, type: 'task' as const, content: id, content_hash: '', sent_at: '',
  caused_by: null, audience, tokens: null, provenance: 'observed' as const, confidence: 1, atUs, index: 0,
})

const data = {
  messages: [message('m1', 'user', 'a', 0), message('m2', 'a', 'b', 50), message('m3', 'b', 'c', 90, ['c', 'a'])],
  skeleton: {
    trace_id: 't', start_time: '', span_id: ['s1', 's2', 's3'], parent: [-1, 0, 0], start_us: [0, 10, 60], duration_us: [100, 5, 5],
    name: [0, 1, 1], kind: [0, 1, 1], agent: [-1, 0, 1], model: [-1, -1, -1], status: [0, 0, 0], tokens: [0, 0, 0],
    names: ['run', 'chat'], kinds: ['workflow', 'llm'], agents: ['a', 'b'], models: [],
  },
} as unknown as TraceData

test('calls stand between the messages they led to', () => {
  expect(transcript(data, { agent: '', calls: true }).map((e) => e.key)).toEqual(['m1', 's2', 'm2', 's3', 'm3'])
})

test('an agent’s own transcript has what it said, heard and did', () => {
  expect(transcript(data, { agent: 'a', calls: true }).map((e) => e.key)).toEqual(['m1', 's2', 'm2', 'm3'])
  expect(transcript(data, { agent: 'c', calls: true }).map((e) => e.key)).toEqual(['m3'])
  expect(transcript(data, { agent: '', calls: false })).toHaveLength(3)
})

test('what was known at a moment is what had been sent by then', () => {
  expect(knownAt(transcript(data, { agent: 'a', calls: false }), 50)).toEqual({ known: 2, later: 1 })
})
