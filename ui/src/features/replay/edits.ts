/** Changes of a state before it runs again: what was there, what is to be there, whether it fits. */
import type { Json } from './lens'
import { isObject } from './lens'

export interface StateEdit {
  /** A JSON Pointer. */
  path: string
  before: Json
  after: Json
}

export type JsonType = 'null' | 'boolean' | 'number' | 'text' | 'list' | 'object'

export function typeOf(value: Json): JsonType {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'list'
  if (typeof value === 'object') return 'object'
  return typeof value === 'string' ? 'text' : (typeof value as 'boolean' | 'number')
}

export function pointer(steps: readonly (string | number)[]): string {
  return steps.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** The last three steps of a path, as a reader thinks of it: `messages › 3 › content`. */
export function spoken(path: string): string {
  const steps = path.split('/').slice(1)
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')).join(' › ')
}

/** Why a value cannot take the place of another; the server applies the same rule. */
export function misfit(before: Json, after: Json): string | null {
  const was = typeOf(before)
  const now = typeOf(after)
  if (was === 'null' || was === now) return null
  return `This is ${withArticle(was)}; what you wrote is ${withArticle(now)}.`
}

function withArticle(type: JsonType): string {
  if (type === 'null') return 'null'
  return type === 'object' ? 'an object' : `a ${type}`
}

/** What somebody typed in place of a value: texts as they are, everything else as JSON. */
export function read(typed: string, before: Json): { value: Json } | { problem: string } {
  if (typeof before === 'string') return { value: typed }
  let value: Json
  try {
    value = JSON.parse(typed) as Json
  } catch {
    return { problem: `Write ${typeOf(before) === 'null' ? 'JSON' : withArticle(typeOf(before))} as JSON.` }
  }
  const problem = misfit(before, value)
  return problem ? { problem } : { value }
}

export function written(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2)
}

/** The edits with one more: a later one at the same place replaces it, and inside it is void. */
export function withEdit(edits: readonly StateEdit[], edit: StateEdit): StateEdit[] {
  const known = edits.find((e) => e.path === edit.path)
  const before = known ? known.before : edit.before
  const others = edits.filter((e) => e.path !== edit.path && !e.path.startsWith(`${edit.path}/`))
  return same(before, edit.after) ? others : [...others, { ...edit, before }]
}

export function same(a: Json, b: Json): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i] ?? null))
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a)
    return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key] ?? null, b[key] ?? null))
  }
  return false
}

/** What the server is sent. */
export function asRequest(edits: readonly StateEdit[]): { path: string; value: Json }[] {
  return edits.map((edit) => ({ path: edit.path, value: edit.after }))
}
