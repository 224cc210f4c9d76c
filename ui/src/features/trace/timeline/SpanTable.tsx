/** The same rows as a table, for those who read rather than look. */
import { useVirtualizer } from '@tanstack/react-virtual'
import clsx from 'clsx'
import { useMemo, useRef } from 'react'
import { count, duration, offset } from '@/shared/format'
import { useTraceView } from '../context'
import { KindIcon } from '../names'
import type { Tree } from './model'

const ROW = 30

export function SpanTable({ tree, rows, found }: { tree: Tree; rows: Int32Array; found: Uint8Array | null }) {
  const { data, selection, select } = useTraceView()
  const { skeleton } = data
  const scroller = useRef<HTMLDivElement>(null)
  const shown = useMemo(() => [...rows].filter((row) => row < tree.count && (!found || found[row])), [rows, found, tree.count])
  const virtual = useVirtualizer({ count: shown.length, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 15 })
  const items = virtual.getVirtualItems()
  const before = items[0]?.start ?? 0
  const after = virtual.getTotalSize() - (items[items.length - 1]?.end ?? 0)
  return (
    <div ref={scroller} className="absolute inset-0 overflow-auto" tabIndex={0} role="group" aria-label="Spans as a table">
      <table aria-rowcount={shown.length + 1} className="w-full border-separate border-spacing-0 text-xs">
        <thead className="sticky top-0 z-10 bg-raised text-left text-muted">
          <tr aria-rowindex={1}>
            {['Span', 'Agent', 'Model', 'Start', 'Duration', 'Tokens', 'Status'].map((name, i) => (
              <th key={name} scope="col" className={clsx('h-7 border-b border-line px-3 font-medium', i >= 3 && i <= 5 && 'text-right')}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && (
            <tr aria-hidden>
              <td colSpan={7} style={{ height: before, padding: 0 }} />
            </tr>
          )}
          {items.map((item) => {
            const row = shown[item.index] ?? 0
            const id = skeleton.span_id[row] ?? ''
            const chosen = selection.kind === 'span' && selection.spanId === id
            const kind = skeleton.kinds[skeleton.kind[row] ?? -1] ?? 'other'
            const tokens = skeleton.tokens[row] ?? 0
            return (
              <tr key={id} aria-rowindex={item.index + 2} className={chosen ? 'bg-selected' : 'hover:bg-hover'} style={{ height: ROW }}>
                <td className="max-w-80 px-3">
                  <button
                    type="button"
                    onClick={() => { select({ kind: 'span', spanId: id }) }}
                    className="flex max-w-full items-center gap-2 text-left font-medium hover:underline"
                    style={{ paddingLeft: Math.min(10, tree.depth[row] ?? 0) * 12 }}
                  >
                    <KindIcon kind={kind} />
                    <span className="truncate">{skeleton.names[skeleton.name[row] ?? -1]}</span>
                  </button>
                </td>
                <td className="px-3 whitespace-nowrap text-muted">{skeleton.agents[skeleton.agent[row] ?? -1] ?? '–'}</td>
                <td className="px-3 whitespace-nowrap text-muted">{skeleton.models[skeleton.model[row] ?? -1] ?? '–'}</td>
                <td className="tabular px-3 text-right whitespace-nowrap text-muted">{offset(skeleton.start_us[row] ?? 0)}</td>
                <td className="tabular px-3 text-right whitespace-nowrap">{duration(skeleton.duration_us[row] ?? 0)}</td>
                <td className="tabular px-3 text-right text-muted">{tokens ? count(tokens) : '–'}</td>
                <td className={clsx('px-3', skeleton.status[row] === 2 ? 'text-danger' : 'text-muted')}>{['–', 'ok', 'error'][skeleton.status[row] ?? 0]}</td>
              </tr>
            )
          })}
          {after > 0 && (
            <tr aria-hidden>
              <td colSpan={7} style={{ height: after, padding: 0 }} />
            </tr>
          )}
        </tbody>
      </table>
    </div>
  )
}
