/** The list of traces: found, sorted, watched as they arrive. */
import clsx from 'clsx'
import { ArrowUp, RefreshCw } from 'lucide-react'
import { useCallback, useMemo, useRef, useState } from 'react'
import { useSearchParams } from 'react-router'
import { ApiError, useChanges, useInvalidateTraces, useRefreshRows, useTraces } from '@/api/queries'
import { useMinute } from '@/shared/period'
import { usePreference } from '@/shared/preferences'
import { useShortcuts } from '@/shared/shortcuts'
import { Button, Skeleton } from '@/shared/ui/basics'
import { EmptyState, ErrorState } from '@/shared/ui/states'
import { BulkActions } from './BulkActions'
import { COLUMNS } from './columns'
import { Teach } from './Empty'
import { Filters } from './Filters'
import type { Filter } from './model'
import { isFiltered, pageOf, queryOf, sizeOf, sortOf, withParam } from './model'
import { Pager } from './Pager'
import { TraceTable } from './TraceTable'
import { Volume } from './Volume'

const NO_COLUMNS: readonly string[] = []

export function TracesPage() {
  const [params, setParams] = useSearchParams()
  const now = useMinute()
  const query = useMemo(() => queryOf(params, now), [params, now])
  const traces = useTraces(query)
  const [hiddenColumns] = usePreference('traces.hidden', NO_COLUMNS)
  const columns = useMemo(() => COLUMNS.filter((c) => !hiddenColumns.includes(c.key)), [hiddenColumns])
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => new Set())
  const scroller = useRef<HTMLDivElement>(null)
  const search = useRef<HTMLInputElement>(null)
  const hovering = useRef(false)
  const [unseen, setUnseen] = useState<ReadonlySet<string>>(() => new Set())
  const invalidate = useInvalidateTraces()
  const refreshRows = useRefreshRows(query)
  const items = traces.data?.items ?? []

  const change = useCallback(
    (key: Filter | 'sort' | 'page' | 'size', value: string | null, replace = false) => {
      // From the address of this moment, not of the last render: two quick changes are both kept.
      setParams(withParam(new URLSearchParams(window.location.search), key, value), { replace, flushSync: true })
      if (key === 'page') scroller.current?.scrollTo({ top: 0 })
    },
    [setParams],
  )
  const setTime = useCallback(
    (since: string | null, until: string | null) => {
      const next = withParam(new URLSearchParams(window.location.search), 'since', since)
      setParams(withParam(next, 'until', until), { flushSync: true })
    },
    [setParams],
  )
  const showNew = () => {
    setUnseen(new Set())
    scroller.current?.scrollTo({ top: 0 })
    void invalidate()
  }
  const feed = useChanges(null, (changes) => {
    const ids = new Set(changes.map((c) => c.trace_id))
    const shown = items.filter((t) => ids.has(t.trace_id)).map((t) => t.trace_id)
    for (const id of shown) ids.delete(id)
    // Rows that move under the pointer, or under a reader who scrolled, are worse than late ones.
    const still = hovering.current || chosen.size > 0 || (scroller.current?.scrollTop ?? 0) > 0
    if (!still || !items.length) void invalidate()
    else {
      void refreshRows(shown)
      if (ids.size && pageOf(params) === 1 && sortOf(params) === '-start') setUnseen((old) => new Set([...old, ...ids]))
    }
  })

  const turn = (by: number) => {
    const last = Math.max(1, Math.ceil((traces.data?.total ?? 0) / sizeOf(params)))
    const page = pageOf(new URLSearchParams(window.location.search)) + by
    change('page', String(Math.min(last, Math.max(1, page))))
  }
  useShortcuts([
    { keys: '/', label: 'Search', group: 'Traces', run: () => search.current?.focus() },
    { keys: 'n', label: 'Next page', group: 'Traces', run: () => { turn(1) } },
    { keys: 'p', label: 'Previous page', group: 'Traces', run: () => { turn(-1) } },
    { keys: 'r', label: 'Refresh', group: 'Traces', run: () => void invalidate() },
  ])

  // The figures of all traces take the server longer than the list: the rows come first.
  const settled = traces.data !== undefined || traces.error !== null
  const total = traces.data?.total ?? 0
  const empty = traces.data && total === 0
  // While a new question is open, the number of the one before would be a false answer.
  const counted = !traces.data ? ' ' : traces.isPlaceholderData ? 'Looking…' : `${total.toLocaleString()} ${isFiltered(params) ? 'found' : 'in all'}`
  return (
    <div className="flex h-full flex-col">
      <header className="flex shrink-0 items-end gap-6 px-5 pt-4 pb-3">
        <div className="shrink-0">
          <h1 className="text-lg leading-6 font-semibold">Traces</h1>
          <p className="tabular flex items-center gap-2 text-muted" aria-live="polite">
            <span>{counted}</span>
            <LiveDot state={feed} />
          </p>
        </div>
        <Volume query={query} onPick={setTime} when={settled} />
      </header>
      <Filters params={params} change={change} setTime={setTime} searchRef={search} when={settled} />
      {chosen.size > 0 && <BulkActions ids={chosen} onDone={() => { setChosen(new Set()) }} />}
      <div
        ref={scroller}
        onPointerEnter={() => (hovering.current = true)}
        onPointerLeave={() => (hovering.current = false)}
        className={clsx('relative min-h-0 flex-1 overflow-auto border-t border-line bg-panel', traces.isPlaceholderData && 'opacity-70')}
      >
        {unseen.size > 0 && (
          <div className="sticky top-10 z-20 flex h-0 justify-center">
            <Button look="solid" onClick={showNew} className="rounded-full shadow-float">
              <ArrowUp aria-hidden className="size-3.5" /> {unseen.size} new
            </Button>
          </div>
        )}
        {traces.error && !traces.data ? (
          <ListError error={traces.error} retry={() => void traces.refetch()} />
        ) : !traces.data ? (
          <TableSkeleton />
        ) : empty && !isFiltered(params) ? (
          <Teach />
        ) : empty ? (
          <EmptyState title="No trace fits these filters">
            <Button className="mt-2" onClick={() => { setParams({}) }}>
              Clear filters
            </Button>
          </EmptyState>
        ) : (
          <TraceTable
            traces={items}
            columns={columns}
            sort={sortOf(params)}
            onSort={(sort) => { change('sort', sort) }}
            chosen={chosen}
            onChoose={setChosen}
          />
        )}
      </div>
      {!empty && traces.data && <Pager page={pageOf(params)} size={sizeOf(params)} total={total} change={change} />}
    </div>
  )
}

function LiveDot({ state }: { state: 'connecting' | 'open' | 'closed' }) {
  if (state === 'open') {
    return (
      <span className="inline-flex items-center gap-1.5 text-xs text-ok" title="New traces appear by themselves">
        <span className="size-1.5 rounded-full bg-ok" /> Live
      </span>
    )
  }
  if (state === 'connecting') return null
  return (
    <span className="inline-flex items-center gap-1.5 text-xs text-warn" title="The connection is tried again by itself">
      <RefreshCw aria-hidden className="size-3" /> Reconnecting
    </span>
  )
}

function ListError({ error, retry }: { error: Error; retry: () => void }) {
  const status = error instanceof ApiError ? error.status : -1
  const advice =
    status === 0
      ? 'Is it running? Start it with: agenttrace serve'
      : status === 422
        ? 'A filter in the address is not valid. Clear it and try again.'
        : 'The server’s log says more.'
  return <ErrorState title="The traces cannot be shown" detail={error.message} advice={advice} retry={retry} />
}

function TableSkeleton() {
  return (
    <div role="status" aria-label="Loading traces" className="flex flex-col">
      {Array.from({ length: 12 }, (_, i) => (
        <div key={i} className="flex h-10 items-center gap-6 border-b border-line px-5">
          <Skeleton className="size-4 rounded-full" />
          <div aria-hidden className="skeleton h-3" style={{ width: `${String(18 + ((i * 7) % 14))}%` }} />
          <Skeleton className="ml-auto w-24" />
          <Skeleton className="w-16" />
          <Skeleton className="w-20" />
        </div>
      ))}
    </div>
  )
}
