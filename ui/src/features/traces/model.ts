/** The list's filters as they stand in the address, and what is asked of the server for them. */
import type { TraceQuery } from '@/api/types'
import { sinceOf } from '@/shared/period'

export const PAGE_SIZES = [25, 50, 100, 200] as const
export const FILTERS = ['q', 'status', 'service', 'framework', 'agent', 'failure', 'since', 'until', 'joined'] as const
export type Filter = (typeof FILTERS)[number]

export type Sort = NonNullable<TraceQuery['sort']>

const SORTS: readonly string[] = ['start', 'duration', 'spans', 'messages', 'failures', 'tokens', 'cost']

/** What to ask the server for. Unknown or broken values in the address are left out. */
export function queryOf(params: URLSearchParams, now: number): TraceQuery {
  const word = (key: Filter) => params.get(key)?.trim() || undefined
  const status = word('status')
  const limit = sizeOf(params)
  return {
    offset: (pageOf(params) - 1) * limit,
    limit,
    q: word('q'),
    service: word('service'),
    framework: word('framework'),
    agent: word('agent'),
    failure: word('failure'),
    status: status === 'ok' || status === 'error' || status === 'running' ? status : undefined,
    since: sinceOf(params.get('since'), now),
    until: word('until'),
    joined: word('joined') === 'false' ? false : undefined,
    sort: sortOf(params),
  }
}

export function sortOf(params: URLSearchParams): Sort {
  const sort = params.get('sort') ?? ''
  return SORTS.includes(sort.replace(/^-/, '')) ? (sort as Sort) : '-start'
}

export function pageOf(params: URLSearchParams): number {
  const page = Number(params.get('page'))
  return Number.isInteger(page) && page > 0 && page < 1e6 ? page : 1
}

export function sizeOf(params: URLSearchParams): number {
  const size = Number(params.get('size'))
  return PAGE_SIZES.find((known) => known === size) ?? 50
}

/** The address with one thing changed; a new filter starts at the first page again. */
export function withParam(params: URLSearchParams, key: Filter | 'sort' | 'page' | 'size', value: string | null): URLSearchParams {
  const next = new URLSearchParams(params)
  if (value) next.set(key, value)
  else next.delete(key)
  if (key !== 'page') next.delete('page')
  return next
}

/** A click on a column: downwards first, then upwards. */
export function nextSort(current: Sort, column: string): Sort {
  return (current === `-${column}` ? column : `-${column}`) as Sort
}

export function isFiltered(params: URLSearchParams): boolean {
  return FILTERS.some((key) => params.get(key))
}

/** The part of the address a saved view keeps. */
export function viewOf(params: URLSearchParams): string {
  const kept = new URLSearchParams()
  for (const key of [...FILTERS, 'sort'] as const) {
    const value = params.get(key)
    if (value) kept.set(key, value)
  }
  return kept.toString()
}
