import { describe, expect, it } from 'vitest'
import { see } from './lens'

describe('see', () => {
  it('shows the values of LangGraph’s channels, and messages as their fields', () => {
    const message = { $ext: 5, value: ['langchain_core.messages.ai', 'AIMessage', { content: 'hello', name: 'writer' }, 'model_validate_json'] }
    const state = { format: 'langgraph/1', checkpoint: { channel_values: { messages: [message], rounds: 2, 'branch:to:writer': null } } }

    expect(see('langgraph', state)).toEqual({
      root: { messages: [{ content: 'hello', name: 'writer' }], rounds: 2 },
      hidden: '1 of LangGraph’s own channels',
    })
  })

  it('shows what a LangGraph run was given, and what is about to be sent to nodes', () => {
    const send = { $ext: 0, value: ['langgraph.types', 'Send', ['writer', { topic: 'tides' }]] }
    const state = { checkpoint: { channel_values: { __start__: { topic: 'sea' }, __pregel_tasks: [send] } } }

    expect(see('langgraph', state)).toEqual({ root: { input: { topic: 'sea' }, sends: [{ node: 'writer', arg: { topic: 'tides' } }] }, hidden: null })
  })

  it('shows an AutoGen team’s conversation once', () => {
    const state = { agent_states: { writer: { agent_state: {} }, Manager: { message_thread: [{ content: 'hi' }] } } }

    expect(see('autogen', state).root).toEqual({ messages: [{ content: 'hi' }] })
  })

  it('shows what it does not know as it is', () => {
    expect(see('mine', { a: [1] })).toEqual({ root: { a: [1] }, hidden: null })
    expect(see('langgraph', 'odd')).toEqual({ root: 'odd', hidden: null })
  })
})
