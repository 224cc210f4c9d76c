import { expect, test } from 'vitest'
import { asChat, classify, preview } from './model'

test('prose, Markdown, JSON and nothing are told apart', () => {
  expect(classify('just words').kind).toBe('text')
  expect(classify('# Title\n- one').kind).toBe('markdown')
  expect(classify('{"a": 1}').kind).toBe('json')
  expect(classify('  ').kind).toBe('empty')
  expect(classify(null).kind).toBe('empty')
  expect(classify('{broken').kind).toBe('text')
})

test('a JSON string is shown as the text it holds', () => {
  expect(classify('"hello"')).toEqual({ kind: 'text', text: 'hello' })
})

test('GenAI messages with parts are a chat', () => {
  const chat = asChat([
    { role: 'user', parts: [{ type: 'text', content: 'weather?' }] },
    { role: 'assistant', parts: [{ type: 'tool_call', id: 'c1', name: 'look', arguments: { city: 'Bonn' } }] },
    { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', result: 'rain' }] },
  ])

  expect(chat?.map((m) => m.parts[0]?.kind)).toEqual(['text', 'call', 'result'])
})

test('LangChain, OpenAI and OpenInference shapes are a chat', () => {
  expect(asChat({ messages: [{ type: 'human', content: 'hi' }] })?.[0]?.role).toBe('user')
  expect(asChat([[{ lc: 1, id: ['langchain', 'AIMessage'], kwargs: { content: 'yes' } }]])?.[0]?.role).toBe('assistant')
  expect(asChat([{ message: { role: 'user', content: 'x' } }])?.[0]?.parts).toEqual([{ kind: 'text', text: 'x' }])
  const called = asChat([{ role: 'assistant', content: null, tool_calls: [{ id: '1', function: { name: 'f', arguments: '{"a":1}' } }] }])
  expect(called?.[0]?.parts).toEqual([{ kind: 'call', name: 'f', id: '1', arguments: { a: 1 } }])
})

test('a list of anything else is no chat', () => {
  expect(asChat([{ name: 'x' }])).toBeNull()
  expect(asChat([1, 2])).toBeNull()
  expect(asChat({ type: 'object', properties: {} })).toBeNull()
})

test('encoded bytes are named, never shown', () => {
  expect(classify(`data:image/png;base64,${'A'.repeat(4000)}`)).toEqual({ kind: 'blob', media: 'image/png', size: 3000 })
  expect(classify('QUJD'.repeat(400)).kind).toBe('blob')
})

test('a preview is one line of what was said last', () => {
  expect(preview('# Hello\n\n**world**')).toBe('Hello world')
  expect(preview('x'.repeat(500), 10)).toHaveLength(10)
  expect(preview('[{"role":"user","content":"q"},{"role":"assistant","content":"the answer"}]')).toBe('the answer')
})
