/** Which view is shown; the same as keys 1 to 6. */
import clsx from 'clsx'
import { useLayoutEffect, useRef } from 'react'
import { useShortcuts } from '@/shared/shortcuts'
import { useTraceView } from './context'
import type { TraceData, View } from './model'
import { VIEWS } from './model'

const NAMES: Record<View, string> = {
  overview: 'Overview',
  graph: 'Graph',
  sequence: 'Sequence',
  timeline: 'Timeline',
  transcript: 'Transcript',
  failures: 'Failures',
}

export function Tabs({ data }: { data: TraceData }) {
  const { view, show } = useTraceView()
  const counts: Partial<Record<View, number>> = {
    graph: data.graph.nodes.length,
    sequence: data.messages.length || data.summary.message_count,
    timeline: data.skeleton.span_id.length,
    failures: data.failures.filter((f) => f.shown).length,
  }
  useShortcuts(VIEWS.map((name, i) => ({ keys: String(i + 1), label: NAMES[name], group: 'Trace: views', run: () => {
      byKey.current = true
      show(name)
    } })))
  // Who came by a key goes on by keys: the arrows work in the view at once.
  const byKey = useRef(false)
  const bar = useRef<HTMLElement>(null)
  useLayoutEffect(() => {
    if (byKey.current && view !== 'overview') document.querySelector<HTMLElement>('main [data-keys]')?.focus()
    byKey.current = false
    bar.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [view])
  return (
    <nav ref={bar} aria-label="Views" className="flex shrink-0 gap-0.5 overflow-x-auto px-3">
      {VIEWS.map((name) => (
        <button
          key={name}
          type="button"
          aria-current={view === name ? 'page' : undefined}
          onClick={() => { show(name) }}
          className={clsx(
            'relative flex h-8 shrink-0 items-center gap-1.5 rounded-t-md px-2.5 text-xs font-medium',
            view === name ? 'text-text after:absolute after:inset-x-2 after:-bottom-px after:h-0.5 after:rounded after:bg-accent' : 'text-muted hover:text-text',
          )}
        >
          {NAMES[name]}
          {counts[name] !== undefined && counts[name] > 0 && (
            <span className={clsx('tabular rounded px-1 text-2xs', name === 'failures' ? 'bg-warn-soft text-warn' : 'bg-neutral-soft text-muted')}>{counts[name].toLocaleString()}</span>
          )}
        </button>
      ))}
    </nav>
  )
}
