/** The conversation to read: of everybody, or what one agent said and heard. */
import { useVirtualizer } from '@tanstack/react-virtual'
import clsx from 'clsx'
import { ArrowRight, TriangleAlert } from 'lucide-react'
import { useEffect, useMemo, useRef, useState } from 'react'
import { Content } from '@/shared/content/Content'
import { count, duration, offset, plural } from '@/shared/format'
import { usePreference } from '@/shared/preferences'
import { Select } from '@/shared/ui/basics'
import { Panel, PanelTitle } from '@/shared/ui/Panel'
import { EmptyState } from '@/shared/ui/states'
import { useTraceView } from '../context'
import { AgentLink, AgentMark, InferredBadge, KindIcon, TypeBadge } from '../names'
import type { Entry } from './model'
import { knownAt, transcript } from './model'

export function TranscriptView() {
  const { data, selection } = useTraceView()
  const [agent, setAgent] = useState(selection.kind === 'agent' ? selection.name : '')
  const [calls, setCalls] = usePreference('transcript.calls', true)
  const entries = useMemo(() => transcript(data, { agent, calls }), [data, agent, calls])
  const moment = momentOf(selection, data)
  const known = agent && moment !== null ? knownAt(entries, moment) : null
  return (
    <Panel
      label="Transcript"
      bar={
        <>
          <PanelTitle>Transcript</PanelTitle>
          <Select label="Whose transcript" any="Everybody" value={agent} options={data.participants} onChange={setAgent} />
          <label className="flex shrink-0 items-center gap-1.5 text-xs text-muted">
            <input type="checkbox" className="size-3.5 accent-accent-strong" checked={calls} onChange={(e) => { setCalls(e.target.checked) }} />
            Model and tool calls
          </label>
          <span className="tabular ml-auto hidden truncate text-xs text-faint sm:inline" aria-live="polite">
            {known ? `${agent} knew ${plural(known.known, 'entry', 'entries')} at the selected moment` : plural(entries.length, 'entry', 'entries')}
          </span>
        </>
      }
    >
      {entries.length ? (
        <Entries key={`${agent} ${String(calls)}`} entries={entries} knownUntil={agent ? moment : null} />
      ) : (
        <EmptyState title={agent ? `${agent} said and heard nothing` : 'Nothing was said'}>
          {!calls && <p>Show model and tool calls to see what happened instead.</p>}
        </EmptyState>
      )}
    </Panel>
  )
}

function momentOf(selection: ReturnType<typeof useTraceView>['selection'], data: ReturnType<typeof useTraceView>['data']): number | null {
  if (selection.kind === 'message') return data.messageOf.get(selection.messageId)?.atUs ?? null
  if (selection.kind === 'span') return data.skeleton.start_us[data.rowOf.get(selection.spanId) ?? -1] ?? null
  return null
}

function Entries({ entries, knownUntil }: { entries: readonly Entry[]; knownUntil: number | null }) {
  const { selection, links } = useTraceView()
  const scroller = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: entries.length,
    getScrollElement: () => scroller.current,
    estimateSize: (i) => (entries[i]?.kind === 'span' ? 34 : 120),
    getItemKey: (i) => entries[i]?.key ?? i,
    overscan: 6,
    paddingStart: 8,
    paddingEnd: 24,
  })
  const firstUnknown = knownUntil === null ? -1 : entries.findIndex((e) => e.atUs > knownUntil)
  const wanted = selection.kind === 'span' ? selection.spanId : selection.kind === 'message' ? selection.messageId : null
  useEffect(() => {
    if (selection.kind === 'none') return
    const exact = entries.findIndex((e) => e.key === wanted)
    const at = exact >= 0 ? exact : entries.findIndex((e) => e.kind === 'message' && links.messages.has(e.key))
    if (at >= 0) virtual.scrollToIndex(at, { align: exact >= 0 ? 'auto' : 'start' })
    // Only a new selection scrolls.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [wanted, selection.kind])
  return (
    <div ref={scroller} className="absolute inset-0 overflow-y-auto" tabIndex={0} role="group" data-keys aria-label="Entries">
      <ol className="relative mx-auto max-w-4xl" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const entry = entries[item.index]
          if (!entry) return null
          return (
            <li
              key={item.key}
              ref={virtual.measureElement}
              data-index={item.index}
              className="absolute inset-x-0 top-0 px-4 py-1"
              style={{ transform: `translateY(${String(item.start)}px)` }}
            >
              {item.index === firstUnknown && <p className="mt-1 mb-2 flex items-center gap-3 text-xs text-warn before:h-px before:flex-1 before:bg-line-strong after:h-px after:flex-1 after:bg-line-strong">not known yet at the selected moment</p>}
              {entry.kind === 'message' ? <Said entry={entry} chosen={entry.key === wanted} /> : <Called entry={entry} chosen={entry.key === wanted} />}
            </li>
          )
        })}
      </ol>
    </div>
  )
}

function Said({ entry, chosen }: { entry: Extract<Entry, { kind: 'message' }>; chosen: boolean }) {
  const { data, select } = useTraceView()
  const { message } = entry
  const failures = data.failuresOfMessage.get(message.message_id) ?? []
  return (
    <article
      aria-label={`${message.sender} to ${message.recipient}`}
      className={clsx('rounded-lg border bg-raised', chosen ? 'border-accent ring-1 ring-accent' : 'border-line')}
    >
      <header className="flex min-w-0 items-center gap-2 border-b border-line px-3 py-1.5">
        <AgentLink name={message.sender} />
        <ArrowRight aria-label="to" className="size-3.5 shrink-0 text-faint" />
        <AgentLink name={message.recipient} />
        <TypeBadge type={message.type} />
        {message.provenance === 'inferred' && <InferredBadge confidence={message.confidence} />}
        {failures.length > 0 && <TriangleAlert role="img" aria-label={plural(failures.length, 'failure')} className="size-4 shrink-0 text-warn" />}
        <button
          type="button"
          onClick={() => { select({ kind: 'message', messageId: message.message_id }) }}
          className="tabular ml-auto shrink-0 rounded px-1 text-xs text-muted hover:text-accent hover:underline"
        >
          {offset(message.atUs)}
        </button>
      </header>
      <div className="px-3 py-2">
        <Content text={message.content} fold={260} />
      </div>
    </article>
  )
}

function Called({ entry, chosen }: { entry: Extract<Entry, { kind: 'span' }>; chosen: boolean }) {
  const { data, select } = useTraceView()
  const { skeleton } = data
  const { row } = entry
  const agent = skeleton.agents[skeleton.agent[row] ?? -1]
  const tokens = skeleton.tokens[row] ?? 0
  const failed = skeleton.status[row] === 2
  return (
    <button
      type="button"
      aria-pressed={chosen}
      onClick={() => { select({ kind: 'span', spanId: entry.key }) }}
      className={clsx('flex h-[26px] w-full min-w-0 items-center gap-2 rounded-md pr-1 pl-4 text-left text-xs hover:bg-hover', chosen && 'bg-selected')}
    >
      <KindIcon kind={skeleton.kinds[skeleton.kind[row] ?? -1] ?? 'other'} />
      <span className={clsx('truncate', failed ? 'text-danger' : 'text-text')}>{skeleton.names[skeleton.name[row] ?? -1]}</span>
      {agent && (
        <span className="flex min-w-0 items-center gap-1 text-muted">
          <AgentMark name={agent} size={14} />
          <span className="truncate">{agent}</span>
        </span>
      )}
      <span className="tabular ml-auto shrink-0 text-muted">
        {failed && <span className="text-danger">error · </span>}
        {tokens > 0 && `${count(tokens)} tok · `}
        {duration(skeleton.duration_us[row] ?? 0)} · {offset(entry.atUs)}
      </span>
    </button>
  )
}
