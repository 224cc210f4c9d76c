/** Everything this UI asks of the server. */
import type { QueryClient } from '@tanstack/react-query'
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { ApiError, client, serverRoot, unwrap } from './client'
import type { Change, LiveState } from './live'
import { follow } from './live'
import type { Accounting, Agent, Failure, Graph, Message, Review, SpanSkeleton, Stats, StatsQuery, TraceListing, TraceParts, TraceQuery, TraceSummary } from './types'

export { ApiError, serverRoot }
export type { Change, LiveState }

const PAGE = 10_000

/** Columns and messages are large and replaced as a whole: comparing them would cost more than it saves. */
const LARGE = { structuralSharing: false } as const

const path = (trace_id: string) => ({ path: { trace_id } })

/** Fetch a list to its end, page by page. */
async function all<T>(page: (offset: number) => Promise<{ items: T[]; total: number }>): Promise<T[]> {
  const items: T[] = []
  for (;;) {
    const next = await page(items.length)
    items.push(...next.items)
    if (!next.items.length || items.length >= next.total) return items
  }
}

const ofTrace = {
  summary: (id: string) => ({
    queryKey: ['trace', id, 'summary'],
    queryFn: ({ signal }: { signal: AbortSignal }): Promise<TraceSummary> =>
      unwrap(client.GET('/api/traces/{trace_id}', { params: path(id), signal })),
  }),
  skeleton: (id: string) => ({
    ...LARGE,
    queryKey: ['trace', id, 'spans'],
    queryFn: ({ signal }: { signal: AbortSignal }): Promise<SpanSkeleton> =>
      unwrap(client.GET('/api/traces/{trace_id}/spans', { params: path(id), signal })),
  }),
  agents: (id: string) => ({
    queryKey: ['trace', id, 'agents'],
    queryFn: ({ signal }: { signal: AbortSignal }): Promise<Agent[]> =>
      all((offset) => unwrap(client.GET('/api/traces/{trace_id}/agents', { params: { ...path(id), query: { offset, limit: PAGE } }, signal }))),
  }),
  messages: (id: string) => ({
    ...LARGE,
    queryKey: ['trace', id, 'messages'],
    queryFn: ({ signal }: { signal: AbortSignal }): Promise<Message[]> =>
      all((offset) => unwrap(client.GET('/api/traces/{trace_id}/messages', { params: { ...path(id), query: { offset, limit: PAGE } }, signal }))),
  }),
  graph: (id: string) => ({
    queryKey: ['trace', id, 'graph'],
    queryFn: ({ signal }: { signal: AbortSignal }): Promise<Graph> =>
      unwrap(client.GET('/api/traces/{trace_id}/graph', { params: path(id), signal })),
  }),
  failures: (id: string) => ({
    queryKey: ['trace', id, 'failures'],
    queryFn: ({ signal }: { signal: AbortSignal }): Promise<Failure[]> =>
      all((offset) => unwrap(client.GET('/api/traces/{trace_id}/failures', { params: { ...path(id), query: { all: true, offset, limit: PAGE } }, signal }))),
  }),
}

/** Ask for all of a trace at once, as early as the address is known. */
export function prefetchTrace(queries: QueryClient, id: string): void {
  for (const [name, query] of Object.entries(ofTrace)) if (name !== 'messages') void queries.prefetchQuery(query(id) as Parameters<QueryClient['prefetchQuery']>[0])
}

/** Everything about a trace but the bodies of its spans. */
export function useTrace(id: string) {
  const skeleton = useQuery(ofTrace.skeleton(id))
  return {
    summary: useQuery(ofTrace.summary(id)),
    skeleton,
    agents: useQuery(ofTrace.agents(id)),
    // Very many messages would take from the server what the spans, which are drawn first, need.
    messages: useQuery({ ...ofTrace.messages(id), enabled: skeleton.data !== undefined }),
    graph: useQuery(ofTrace.graph(id)),
    failures: useQuery(ofTrace.failures(id)),
  }
}

/** A trace's row of the list. */
export function useTraceSummary(id: string) {
  return useQuery(ofTrace.summary(id))
}

/** One span, whole. */
export function useSpan(traceId: string, spanId: string, version: number) {
  return useQuery({
    queryKey: ['span', traceId, spanId, version],
    queryFn: ({ signal }) =>
      unwrap(client.GET('/api/traces/{trace_id}/spans/{span_id}', { params: { path: { trace_id: traceId, span_id: spanId } }, signal })),
    placeholderData: (old) => (old?.span_id === spanId ? old : undefined),
  })
}

const listOf = (query: TraceQuery) => ({
  queryKey: ['traces', query],
  queryFn: ({ signal }: { signal: AbortSignal }): Promise<TraceListing> => unwrap(client.GET('/api/traces', { params: { query }, signal })),
})

/** Ask for a page of the list as early as the address is known. */
export function prefetchTraces(queries: QueryClient, query: TraceQuery): void {
  void queries.prefetchQuery(listOf(query))
}

export function useTraces(query: TraceQuery) {
  return useQuery({ ...listOf(query), placeholderData: keepPreviousData })
}

/** `when`: false holds the question back, which costs the server more than most. */
export function useStats(query: StatsQuery = {}, when = true) {
  return useQuery({
    enabled: when,
    queryKey: ['stats', query],
    queryFn: ({ signal }): Promise<Stats> => unwrap(client.GET('/api/stats', { params: { query }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 10_000,
    // Charts follow what arrives, but not each trace of it.
    refetchInterval: 30_000,
  })
}

export function usePlugins() {
  return useQuery({ queryKey: ['plugins'], queryFn: () => unwrap(client.GET('/api/plugins')) })
}

export function useRejected() {
  return useQuery({ queryKey: ['rejected'], queryFn: () => unwrap(client.GET('/api/rejected')), refetchInterval: 15_000 })
}

export function useHealth() {
  return useQuery({ queryKey: ['health'], queryFn: () => unwrap(client.GET('/health')), refetchInterval: 15_000 })
}

export function useSession() {
  return useQuery({ queryKey: ['session'], queryFn: () => unwrap(client.GET('/api/session')), staleTime: Infinity })
}

export function useLogin() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (api_key: string) => unwrap(client.POST('/api/login', { body: { api_key } })),
    onSuccess: () => queries.resetQueries(),
  })
}

export function useLogout() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: () => unwrap(client.POST('/api/logout')),
    onSuccess: () => queries.resetQueries(),
  })
}

export function useDeleteTraces() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: async (ids: readonly string[]) => {
      for (const id of ids) {
        try {
          await unwrap(client.DELETE('/api/traces/{trace_id}', { params: path(id) }))
        } catch (error) {
          // Gone already is what was wanted.
          if (!(error instanceof ApiError && error.status === 404)) throw error
        }
      }
    },
    onSettled: (_data, _error, ids) => {
      for (const id of ids) queries.removeQueries({ queryKey: ['trace', id] })
      void queries.invalidateQueries({ queryKey: ['traces'] })
      void queries.invalidateQueries({ queryKey: ['stats'] })
    },
  })
}

/** Keep what a person decided about a failure; shown at once, taken back if the server refuses. */
export function useReview(traceId: string) {
  const queries = useQueryClient()
  const key = ['trace', traceId, 'failures']
  return useMutation({
    mutationFn: ({ id, review }: { id: string; review: Review }) =>
      unwrap(client.PATCH('/api/failures/{annotation_id}', { params: { path: { annotation_id: id } }, body: { review } })),
    onMutate: async ({ id, review }) => {
      await queries.cancelQueries({ queryKey: key })
      const before = queries.getQueryData<Failure[]>(key)
      queries.setQueryData<Failure[]>(key, (old) => old?.map((f) => (f.annotation_id === id ? { ...f, review } : f)))
      return { before }
    },
    onError: (_error, _variables, context) => {
      queries.setQueryData(key, context?.before)
    },
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: key })
      void queries.invalidateQueries({ queryKey: ['traces'] })
    },
  })
}

export function useClassify(traceId: string) {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: () => unwrap(client.POST('/api/traces/{trace_id}/classify', { params: path(traceId) })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['trace', traceId] }),
  })
}

/** The traces that a joined one is made of, or that it was taken out of. */
export function useParts(traceId: string) {
  return useQuery({
    queryKey: ['trace', traceId, 'parts'],
    queryFn: ({ signal }): Promise<TraceParts> => unwrap(client.GET('/api/traces/{trace_id}/parts', { params: path(traceId), signal })),
  })
}

/** Which model calls were counted, of a version of the trace. */
export function useAccounting(traceId: string, version: number) {
  return useQuery({
    queryKey: ['trace', traceId, 'accounting', version],
    queryFn: ({ signal }): Promise<Accounting> => unwrap(client.GET('/api/traces/{trace_id}/accounting', { params: path(traceId), signal })),
  })
}

/** Undo a join. */
export function useSplit(traceId: string) {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: () => unwrap(client.POST('/api/traces/{trace_id}/split', { params: path(traceId) })),
    onSuccess: ({ trace_ids: alone }) => {
      for (const id of alone) queries.removeQueries({ queryKey: ['trace', id] })
      void queries.invalidateQueries({ queryKey: ['traces'] })
      void queries.invalidateQueries({ queryKey: ['stats'] })
    },
  })
}

/** Undo a split. */
export function useJoin(traceId: string) {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: () => unwrap(client.POST('/api/traces/{trace_id}/join', { params: path(traceId) })),
    onSuccess: () => {
      queries.removeQueries({ queryKey: ['trace', traceId] })
      void queries.invalidateQueries({ queryKey: ['traces'] })
      void queries.invalidateQueries({ queryKey: ['stats'] })
    },
  })
}

/** Call back with the changes of each half second, of one trace or of all; returns the feed's state. */
export function useChanges(trace: string | null, onChanges: (changes: readonly Change[]) => void): LiveState {
  const [state, setState] = useState<LiveState>('connecting')
  const latest = useRef(onChanges)
  useEffect(() => {
    latest.current = onChanges
  })
  useEffect(() => {
    let waiting: Change[] = []
    let timer: ReturnType<typeof setTimeout> | undefined
    const end = follow(
      trace,
      (change) => {
        waiting.push(change)
        timer ??= setTimeout(() => {
          const batch = waiting
          waiting = []
          timer = undefined
          latest.current(batch)
        }, 500)
      },
      setState,
    )
    return () => {
      clearTimeout(timer)
      end()
    }
  }, [trace])
  return state
}

/** Bring single rows of a shown page up to date, without letting new ones in. */
export function useRefreshRows(query: TraceQuery) {
  const queries = useQueryClient()
  return async (ids: readonly string[]) => {
    const fresh = await Promise.allSettled(ids.map((id) => unwrap(client.GET('/api/traces/{trace_id}', { params: path(id) }))))
    const byId = new Map(fresh.flatMap((f) => (f.status === 'fulfilled' ? [[f.value.trace_id, f.value] as const] : [])))
    queries.setQueryData<TraceListing>(['traces', query], (old) => old && { ...old, items: old.items.map((t) => byId.get(t.trace_id) ?? t) })
  }
}

export function useInvalidateTraces() {
  const queries = useQueryClient()
  return () => queries.invalidateQueries({ queryKey: ['traces'] })
}

/** Keep a trace fresh while it grows. */
export function useLiveTrace(id: string): LiveState {
  const queries = useQueryClient()
  return useChanges(id, () => {
    void queries.invalidateQueries({ queryKey: ['trace', id] })
  })
}

/** Where one trace's spans can be downloaded as OTLP/JSON. */
export function exportUrl(id: string): string {
  return `${serverRoot()}/api/traces/${encodeURIComponent(id)}/export?format=otlp`
}

/** The address of a resource of the API, to copy. */
export function apiUrl(...parts: string[]): string {
  return `${serverRoot()}/api/${parts.map(encodeURIComponent).join('/')}`
}
