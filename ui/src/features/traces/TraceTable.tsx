/** The rows of one page. */
import clsx from 'clsx'
import { ArrowDown, ArrowUp, History } from 'lucide-react'
import { memo, useEffect, useRef, useState } from 'react'
import { Link, useNavigate } from 'react-router'
import type { TraceSummary } from '@/api/types'
import { nameParts } from '@/shared/format'
import { useShortcuts } from '@/shared/shortcuts'
import { Badge } from '@/shared/ui/basics'
import { StatusIcon } from '@/shared/ui/status'
import type { Column } from './columns'
import type { Sort } from './model'
import { nextSort } from './model'

export function TraceTable({
  traces,
  columns,
  sort,
  onSort,
  chosen,
  onChoose,
}: {
  traces: readonly TraceSummary[]
  columns: readonly Column[]
  sort: Sort
  onSort: (sort: Sort) => void
  chosen: ReadonlySet<string>
  onChoose: (chosen: ReadonlySet<string>) => void
}) {
  const body = useRef<HTMLTableSectionElement>(null)
  const fresh = useFresh(traces)
  const all = traces.length > 0 && traces.every((t) => chosen.has(t.trace_id))
  const step = (by: number) => {
    const links = [...(body.current?.querySelectorAll<HTMLElement>('a[data-row]') ?? [])]
    const at = links.indexOf(document.activeElement as HTMLElement)
    links[Math.min(links.length - 1, Math.max(0, at + by))]?.focus()
  }
  useShortcuts([
    { keys: 'j', label: 'Next trace', group: 'Traces', run: () => { step(1) } },
    { keys: 'k', label: 'Previous trace', group: 'Traces', run: () => { step(-1) } },
  ])
  const choose = (id: string, on: boolean) => {
    const next = new Set(chosen)
    if (on) next.add(id)
    else next.delete(id)
    onChoose(next)
  }
  return (
    <table className="w-full border-separate border-spacing-0 text-sm">
      <thead className="sticky top-0 z-10">
        <tr>
          <th scope="col" className={clsx(HEAD, 'hidden w-9 pl-5 sm:table-cell')}>
            <input
              type="checkbox"
              aria-label="Choose all traces of this page"
              checked={all}
              onChange={(e) => { onChoose(new Set(e.target.checked ? traces.map((t) => t.trace_id) : [])) }}
              className="block size-3.5 accent-accent-strong"
            />
          </th>
          <th scope="col" className={clsx(HEAD, 'pl-4 text-left sm:pl-1')}>
            Trace
          </th>
          {columns.map((column) => (
            <HeadCell key={column.key} column={column} sort={sort} onSort={onSort} />
          ))}
        </tr>
      </thead>
      <tbody ref={body}>
        {traces.map((trace) => (
          <Row key={trace.trace_id} trace={trace} columns={columns} chosen={chosen.has(trace.trace_id)} fresh={fresh.has(trace.trace_id)} onChoose={choose} />
        ))}
      </tbody>
    </table>
  )
}

const HEAD = 'h-9 border-b border-line bg-raised px-2 2xl:px-3 text-xs font-medium whitespace-nowrap text-muted'

function HeadCell({ column, sort, onSort }: { column: Column; sort: Sort; onSort: (sort: Sort) => void }) {
  const active = column.sort !== undefined && sort.replace(/^-/, '') === column.sort
  const down = sort.startsWith('-')
  const side = column.numeric ? 'text-right' : 'text-left'
  return (
    <th scope="col" aria-sort={active ? (down ? 'descending' : 'ascending') : undefined} className={clsx(HEAD, side, column.from, 'last:pr-5')}>
      {column.sort ? (
        <button
          type="button"
          onClick={() => { onSort(nextSort(sort, column.sort ?? '')) }}
          className={clsx('inline-flex items-center gap-1 hover:text-text', active && 'text-text')}
        >
          {column.label}
          {active && (down ? <ArrowDown aria-hidden className="size-3" /> : <ArrowUp aria-hidden className="size-3" />)}
        </button>
      ) : (
        column.label
      )}
    </th>
  )
}

const CELL = 'h-10 border-b border-line px-2 2xl:px-3 whitespace-nowrap'

const Row = memo(function Row({
  trace,
  columns,
  chosen,
  fresh,
  onChoose,
}: {
  trace: TraceSummary
  columns: readonly Column[]
  chosen: boolean
  fresh: boolean
  onChoose: (id: string, on: boolean) => void
}) {
  const navigate = useNavigate()
  const to = `/traces/${trace.trace_id}`
  return (
    <tr
      onClick={(event) => {
        if (event.defaultPrevented || (event.target as HTMLElement).closest('a, input, label')) return
        if (window.getSelection()?.toString()) return
        void navigate(to)
      }}
      className={clsx('cursor-pointer', chosen ? 'bg-selected' : 'hover:bg-hover', fresh && 'arrived')}
    >
      <td className={clsx(CELL, 'hidden pr-0 pl-5 sm:table-cell')}>
        <label className="-m-2 block p-2">
          <input
            type="checkbox"
            aria-label={`Choose ${trace.name}`}
            checked={chosen}
            onChange={(e) => { onChoose(trace.trace_id, e.target.checked) }}
            className="block size-3.5 accent-accent-strong"
          />
        </label>
      </td>
      <td className={clsx(CELL, 'w-full max-w-0 min-w-44 pl-4 sm:pl-1')}>
        <span className="flex min-w-0 items-center gap-2.5">
          <StatusIcon status={trace.status} failures={trace.failure_count} />
          <Link data-row to={to} className="min-w-0 truncate font-medium hover:text-accent" title={trace.name}>
            <Name name={trace.name} />
          </Link>
          {trace.replay_of && (
            <Link to={trace.replay_id ? `/replays/${trace.replay_id}` : `/traces/${trace.replay_of}`} className="shrink-0">
              <Badge tone="accent" title={`Replay of trace ${trace.replay_of.slice(0, 8)}`}>
                <History aria-hidden className="size-3" />
                replay
              </Badge>
            </Link>
          )}
          <span className="hidden shrink-0 font-mono text-2xs text-faint 2xl:inline">{trace.trace_id.slice(0, 8)}</span>
        </span>
      </td>
      {columns.map((column) => (
        <td key={column.key} className={clsx(CELL, 'last:pr-5', column.from, column.numeric && 'tabular text-right')}>
          {column.cell(trace)}
        </td>
      ))}
    </tr>
  )
})

/** Every row begins with the operation where capture wrote it: heard in full, seen where there is room. */
function Name({ name }: { name: string }) {
  const { operation, rest } = nameParts(name)
  return (
    <>
      {operation && <span className="sr-only 2xl:not-sr-only">{operation} </span>}
      {rest}
    </>
  )
}

/** The traces that were not there a moment ago, once there was something to compare with. */
function useFresh(traces: readonly TraceSummary[]): ReadonlySet<string> {
  const known = useRef<Set<string> | null>(null)
  const [fresh, setFresh] = useState<ReadonlySet<string>>(() => new Set())
  useEffect(() => {
    const before = known.current
    known.current = new Set([...(before ?? []), ...traces.map((t) => t.trace_id)])
    if (!before) return
    const arrived = traces.filter((t) => !before.has(t.trace_id) && Date.now() - Date.parse(t.end_time) < 60_000)
    if (arrived.length) setFresh(new Set(arrived.map((t) => t.trace_id)))
  }, [traces])
  return fresh
}
