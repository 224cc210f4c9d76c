/** What a text is — a chat, JSON, Markdown, encoded bytes, prose — so that it can be shown as that. */
import { looksLikeMarkdown } from './markdown'

export type Part =
  | { kind: 'text'; text: string }
  | { kind: 'reasoning'; text: string }
  | { kind: 'call'; name: string; id: string; arguments: unknown }
  | { kind: 'result'; id: string; value: unknown }
  | { kind: 'blob'; media: string; size: number }
  | { kind: 'data'; value: unknown }

export interface ChatMessage {
  role: string
  name: string | null
  parts: Part[]
}

export type Content =
  | { kind: 'empty' }
  | { kind: 'chat'; messages: ChatMessage[]; value: unknown }
  | { kind: 'json'; value: unknown }
  | { kind: 'markdown'; text: string }
  | { kind: 'text'; text: string }
  | { kind: 'blob'; media: string; size: number }

type Dict = Record<string, unknown>

const isDict = (value: unknown): value is Dict => typeof value === 'object' && value !== null && !Array.isArray(value)
const str = (value: unknown): string => (typeof value === 'string' ? value : '')

/** Beyond this many characters a text is shown as text: the tree or Markdown would take seconds. */
const STRUCTURE_LIMIT = 2_000_000

/** Say what a text is. */
export function classify(text: string | null | undefined): Content {
  if (text === null || text === undefined || text.trim() === '') return { kind: 'empty' }
  const blob = asBlob(text)
  if (blob) return blob
  const first = text.trimStart().charAt(0)
  if ((first === '{' || first === '[' || first === '"') && text.length < STRUCTURE_LIMIT) {
    try {
      return classifyValue(JSON.parse(text))
    } catch {
      // Looked like JSON and is none.
    }
  }
  if (text.length < STRUCTURE_LIMIT / 4 && looksLikeMarkdown(text)) return { kind: 'markdown', text }
  return { kind: 'text', text }
}

/** Say what an already parsed value is. */
export function classifyValue(value: unknown): Content {
  if (typeof value === 'string') return classify(value)
  if (value === null || value === undefined) return { kind: 'empty' }
  const messages = asChat(value)
  return messages ? { kind: 'chat', messages, value } : { kind: 'json', value }
}

/** The media type and size of a data: address or of long base64, or null. */
export function asBlob(text: string): { kind: 'blob'; media: string; size: number } | null {
  const uri = /^data:([\w.+-]+\/[\w.+-]+)?(;[\w=-]+)*;base64,/.exec(text.slice(0, 200))
  if (uri) return { kind: 'blob', media: uri[1] ?? 'data', size: Math.floor(((text.length - uri[0].length) * 3) / 4) }
  if (text.length >= 512 && /^[A-Za-z0-9+/_-]{512}/.test(text) && /^[A-Za-z0-9+/_=\s-]+$/.test(text.slice(0, 20_000))) {
    return { kind: 'blob', media: 'base64', size: Math.floor((text.length * 3) / 4) }
  }
  return null
}

/** The messages of a conversation in any of the shapes frameworks use, or null if it is none. */
export function asChat(value: unknown): ChatMessage[] | null {
  const list = chatList(value)
  if (!list?.length) return null
  const messages: ChatMessage[] = []
  for (const item of list) {
    const message = asMessage(item)
    if (!message) return null
    messages.push(message)
  }
  return messages
}

function chatList(value: unknown): unknown[] | null {
  if (Array.isArray(value)) {
    // LangChain batches: one list of messages per prompt.
    return value.length === 1 && Array.isArray(value[0]) ? (value[0] as unknown[]) : value
  }
  if (!isDict(value)) return null
  const keys = Object.keys(value)
  if (keys.length <= 3 && Array.isArray(value.messages)) return chatList(value.messages)
  return asMessage(value) && ('role' in value || 'lc' in value) ? [value] : null
}

const ROLES: Record<string, string> = {
  human: 'user',
  ai: 'assistant',
  HumanMessage: 'user',
  AIMessage: 'assistant',
  AIMessageChunk: 'assistant',
  SystemMessage: 'system',
  ToolMessage: 'tool',
  FunctionMessage: 'tool',
  ChatMessage: 'assistant',
  UserMessage: 'user',
  AssistantMessage: 'assistant',
  FunctionExecutionResultMessage: 'tool',
}

function asMessage(item: unknown): ChatMessage | null {
  if (!isDict(item)) return null
  if (item.lc && Array.isArray(item.id) && isDict(item.kwargs)) {
    return asMessage({ ...item.kwargs, role: item.id[item.id.length - 1] })
  }
  if (isDict(item.message) && 'role' in item.message) return asMessage(item.message)
  const type = str(item.type)
  const given = str(item.role) || (ROLES[type] || type === 'system' || type === 'tool' ? type : '')
  const held = item.content ?? item.parts ?? item.tool_calls ?? item.function_call
  if (!given || (held === undefined && !('content' in item))) return null
  const role = ROLES[given] ?? given
  const parts = [
    ...reasoningOf(item),
    ...(role === 'tool' && item.parts === undefined ? [toolResult(item)] : partsOf(item.parts ?? item.content)),
    ...callsOf(item.tool_calls),
  ]
  return { role, name: str(item.name) || str(item.source) || null, parts }
}

function toolResult(item: Dict): Part {
  return { kind: 'result', id: str(item.tool_call_id) || str(item.name), value: parseIfJson(item.content) }
}

function reasoningOf(item: Dict): Part[] {
  const text = str(item.reasoning_content) || str(item.thought)
  return text ? [{ kind: 'reasoning', text }] : []
}

function callsOf(calls: unknown): Part[] {
  if (!Array.isArray(calls)) return []
  return calls.filter(isDict).map((raw) => {
    const call = isDict(raw.tool_call) ? raw.tool_call : raw
    const inner = isDict(call.function) ? call.function : call
    return {
      kind: 'call' as const,
      name: str(inner.name) || 'tool',
      id: str(call.id),
      arguments: parseIfJson(inner.arguments ?? inner.args ?? {}),
    }
  })
}

function partsOf(content: unknown): Part[] {
  if (content === null || content === undefined || content === '') return []
  if (typeof content === 'string') return [textPart(content)]
  if (!Array.isArray(content)) return [{ kind: 'data', value: content }]
  return content.map(partOf)
}

function textPart(text: string): Part {
  return asBlob(text) ?? { kind: 'text', text }
}

function partOf(part: unknown): Part {
  if (typeof part === 'string') return textPart(part)
  if (!isDict(part)) return { kind: 'data', value: part }
  const text = str(part.content) || str(part.text)
  switch (part.type) {
    case 'text':
    case 'output_text':
    case 'input_text':
      return textPart(text)
    case 'reasoning':
    case 'thinking':
      return { kind: 'reasoning', text: text || str(part.thinking) }
    case 'tool_call':
    case 'tool_use':
    case 'function_call':
      return { kind: 'call', name: str(part.name) || 'tool', id: str(part.id), arguments: parseIfJson(part.arguments ?? part.input ?? part.args ?? {}) }
    case 'tool_call_response':
    case 'tool_result':
      return { kind: 'result', id: str(part.id) || str(part.tool_use_id), value: parseIfJson(part.result ?? part.response ?? part.content) }
    case 'blob':
    case 'file':
    case 'image':
    case 'image_url': {
      const source = isDict(part.image_url) ? part.image_url.url : (part.image_url ?? part.content ?? part.data)
      const blob = typeof source === 'string' ? asBlob(source) : null
      if (blob) return { ...blob, media: str(part.mime_type) || blob.media }
      return { kind: 'data', value: part }
    }
    default:
      return { kind: 'data', value: part }
  }
}

function parseIfJson(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

/** The first words of a content, for one line in a list. */
export function preview(text: string, limit = 160): string {
  const content = classify(text.length > 20_000 ? text.slice(0, 20_000) : text)
  const flat = previewOf(content).replace(/\s+/g, ' ').trim()
  return flat.length > limit ? `${flat.slice(0, limit - 1)}…` : flat
}

function previewOf(content: Content): string {
  switch (content.kind) {
    case 'empty':
      return ''
    case 'blob':
      return `${content.media} data`
    case 'markdown':
      return content.text.replace(/```[\w+-]*\n?/g, ' ').replace(/(\*\*|__|`|^#{1,6} |^> )/gm, '')
    case 'text':
      return content.text
    case 'json':
      return typeof content.value === 'object' ? JSON.stringify(content.value) : String(content.value)
    case 'chat': {
      const last = content.messages[content.messages.length - 1]
      return last?.parts.map(partPreview).filter(Boolean).join(' · ') ?? ''
    }
  }
}

function partPreview(part: Part): string {
  switch (part.kind) {
    case 'text':
    case 'reasoning':
      return part.text
    case 'call':
      return `${part.name}(${JSON.stringify(part.arguments)})`
    case 'result':
      return typeof part.value === 'string' ? part.value : JSON.stringify(part.value)
    case 'blob':
      return `${part.media} data`
    case 'data':
      return JSON.stringify(part.value)
  }
}
