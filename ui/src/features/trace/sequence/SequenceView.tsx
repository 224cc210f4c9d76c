/** Messages between lifelines, in the order they were sent; only what is in sight is drawn. */
import { useVirtualizer } from '@tanstack/react-virtual'
import clsx from 'clsx'
import { TriangleAlert } from 'lucide-react'
import type { KeyboardEvent } from 'react'
import { memo, useEffect, useMemo, useRef, useState } from 'react'
import { preview } from '@/shared/content/model'
import { offset } from '@/shared/format'
import { useSize } from '@/shared/size'
import { SkeletonLines } from '@/shared/ui/basics'
import { Panel, PanelTitle } from '@/shared/ui/Panel'
import { EmptyState } from '@/shared/ui/states'
import { useTraceView } from '../context'
import { useCursor } from '../cursor'
import { typeColour } from '../graph/model'
import type { TimedMessage } from '../model'
import { AgentMark } from '../names'
import type { Lane } from './model'
import { arrowOf, layLanes, speakers } from './model'

const ROW = 40
const HEAD = 34
const TIME = 58
/** From this width on, what was said has a column of its own. */
const ROOMY = 980

export function SequenceView({ compact = false }: { compact?: boolean }) {
  const { data } = useTraceView()
  return (
    <Panel
      label="Message sequence"
      bar={
        <>
          <PanelTitle>Messages</PanelTitle>
          {!compact && <span className="hidden text-xs text-faint lg:inline">A click on a name folds its lifeline · ↑ ↓ step through messages</span>}
        </>
      }
    >
      {data.messages.length === 0 ? (
        data.summary.analysed ? (
          <EmptyState title="No messages between agents">
            <p>Agents of this run did not talk to each other, or nothing in its spans says so.</p>
          </EmptyState>
        ) : (
          <SkeletonLines label="Looking for messages" />
        )
      ) : (
        <Lanes compact={compact} />
      )}
    </Panel>
  )
}

/** Lanes at least this wide have a mark and a name; less wide ones the name, narrow ones the mark. */
const WITH_MARK = 100
const NAME_ONLY = 74
const MARK_ONLY = 44

/** Rather narrower lanes than some out of sight, as long as they can be told apart. */
function leastWidth(lanes: number, free: number, compact: boolean): number | undefined {
  if (lanes * NAME_ONLY <= free) return NAME_ONLY
  return compact && lanes * MARK_ONLY <= free ? MARK_ONLY : undefined
}

const NO_FOLDS: ReadonlySet<string> = new Set()

function Lanes({ compact }: { compact: boolean }) {
  const { data, selection, links, select } = useTraceView()
  const scroller = useRef<HTMLDivElement>(null)
  const { width } = useSize(scroller)
  const [folded, setFolded] = useState(NO_FOLDS)
  const roomy = !compact && width > ROOMY
  const names = useMemo(() => speakers(data.participants, data.messages), [data.participants, data.messages])
  const layout = useMemo(() => {
    const free = (roomy ? width * 0.62 : width) - TIME - 14
    return layLanes(names, folded, free, leastWidth(names.length, free, compact))
  }, [names, folded, roomy, compact, width])
  const lanes = useMemo(() => new Map(layout.lanes.map((lane) => [lane.name, lane])), [layout])
  const rows = useVirtualizer({
    count: data.messages.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 12,
    scrollPaddingStart: HEAD + ROW,
    scrollPaddingEnd: ROW,
    paddingStart: HEAD + 4,
    paddingEnd: 12,
  })

  const chosen = selection.kind === 'message' ? data.messageOf.get(selection.messageId) : undefined
  const first = chosen ?? data.messages.find((m) => links.messages.has(m.message_id))
  const target = selection.kind === 'none' ? undefined : first?.index
  useEffect(() => {
    if (target !== undefined) rows.scrollToIndex(target, { align: 'auto' })
  }, [target, rows])

  const [cursor, moveCursor] = useCursor(chosen?.index ?? -1)
  const step = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (!by) return
    event.preventDefault()
    const now = cursor()
    const at = now >= 0 ? now + by : by > 0 ? 0 : data.messages.length - 1
    const next = data.messages[Math.min(data.messages.length - 1, Math.max(0, at))]
    if (!next) return
    moveCursor(next.index)
    select({ kind: 'message', messageId: next.message_id }, now >= 0)
  }
  const fold = (name: string) => {
    setFolded((old) => {
      const next = new Set(old)
      if (!next.delete(name)) next.add(name)
      return next
    })
  }
  const total = TIME + layout.width + (roomy ? width - TIME - layout.width - 14 : 0)
  const focused = selection.kind !== 'none' && links.messages.size > 0

  return (
    <div ref={scroller} className="absolute inset-0 overflow-auto" tabIndex={0} data-keys role="group" aria-label="Messages in order" onKeyDown={step}>
      <div className="relative" style={{ height: rows.getTotalSize(), width: Math.max(total, 1), minWidth: '100%' }}>
        <div className="sticky top-0 z-10 bg-panel" style={{ height: HEAD }}>
          {layout.lanes.map((lane) => (
            <LaneHead key={lane.name} lane={lane} bright={links.agents.has(lane.name)} onFold={() => { fold(lane.name) }} />
          ))}
          <div className="absolute inset-x-0 bottom-0 border-b border-line" />
        </div>
        {layout.lanes.map((lane) => (
          <div key={lane.name} aria-hidden className="absolute w-px" style={{ left: TIME + lane.x, top: HEAD, bottom: 0, background: links.agents.has(lane.name) ? data.colourOf(lane.name) : 'var(--line-strong)', opacity: 0.7 }} />
        ))}
        {rows.getVirtualItems().map((item) => {
          const message = data.messages[item.index]
          if (!message) return null
          return (
            <MessageRow
              key={message.message_id}
              message={message}
              lanes={lanes}
              lanesWidth={layout.width}
              top={item.start}
              chosen={message === chosen}
              dim={focused && !links.messages.has(message.message_id)}
              failed={data.failuresOfMessage.has(message.message_id)}
              roomy={roomy}
              onSelect={select}
            />
          )
        })}
      </div>
    </div>
  )
}

function LaneHead({ lane, bright, onFold }: { lane: Lane; bright: boolean; onFold: () => void }) {
  const { data } = useTraceView()
  const initial = lane.folded || lane.width < NAME_ONLY
  return (
    <button
      type="button"
      aria-expanded={!lane.folded}
      title={`${lane.name}: ${lane.folded ? 'unfold' : 'fold'} this lifeline`}
      onClick={onFold}
      className={clsx('absolute top-1 flex h-[26px] items-center justify-center gap-1.5 rounded-md px-1 text-xs font-medium hover:bg-hover', bright ? 'text-text' : 'text-muted')}
      style={{ left: TIME + lane.x - lane.width / 2 + 2, width: lane.width - 4 }}
    >
      {(initial || lane.width >= WITH_MARK) && <AgentMark name={lane.name} size={16} />}
      {initial ? (
        <span className="sr-only">{lane.name}</span>
      ) : (
        <span className="truncate" style={lane.width < WITH_MARK ? { color: data.colourOf(lane.name) } : undefined}>
          {lane.name}
        </span>
      )}
    </button>
  )
}

const MessageRow = memo(function MessageRow({
  message,
  lanes,
  lanesWidth,
  top,
  chosen,
  dim,
  failed,
  roomy,
  onSelect,
}: {
  message: TimedMessage
  lanes: ReadonlyMap<string, Lane>
  lanesWidth: number
  top: number
  chosen: boolean
  dim: boolean
  failed: boolean
  roomy: boolean
  onSelect: (selection: { kind: 'message'; messageId: string }) => void
}) {
  const arrow = arrowOf(message, lanes, lanesWidth)
  const text = useMemo(() => preview(message.content), [message.content])
  if (!arrow) return null
  const colour = typeColour(message.type)
  const y = ROW - 9
  const right = arrow.to >= arrow.from
  return (
    <button
      type="button"
      aria-pressed={chosen}
      onClick={() => { onSelect({ kind: 'message', messageId: message.message_id }) }}
      className={clsx('group absolute inset-x-0 text-left', chosen ? 'bg-selected' : 'hover:bg-hover')}
      style={{ top, height: ROW }}
    >
      <span className="sr-only">
        {`${message.sender} to ${message.recipient}, ${message.type}${message.provenance === 'inferred' ? ', inferred' : ''}${failed ? ', failure' : ''}, ${offset(message.atUs)}: ${text.slice(0, 120)}`}
      </span>
      <span aria-hidden className="tabular absolute bottom-[3px] left-0 w-[50px] text-right text-2xs text-faint">{offset(message.atUs)}</span>
      <svg aria-hidden className="absolute top-0 overflow-visible" opacity={dim ? 0.25 : 1} style={{ left: TIME }} width={lanesWidth} height={ROW}>
        {arrow.self ? (
          <path d={`M${String(arrow.from)},${String(y - 8)} h16 q7,0 7,6 t-7,6 h-11`} fill="none" stroke={colour} strokeWidth={1.75} strokeDasharray={dashes(message)} />
        ) : (
          <line x1={arrow.from} x2={arrow.to + (right ? -6 : 6)} y1={y} y2={y} stroke={colour} strokeWidth={1.75} strokeDasharray={dashes(message)} />
        )}
        {arrow.self ? (
          <path d={`M${String(arrow.from + 2)},${String(y + 4)} l7,-3.6 v7.2 z`} fill={colour} />
        ) : (
          <path d={`M${String(arrow.to + (right ? -1 : 1))},${String(y)} l${right ? '-8' : '8'},-4.2 v8.4 z`} fill={colour} />
        )}
        <circle cx={arrow.from} cy={arrow.self ? y - 8 : y} r={3} fill={colour} />
        {arrow.heard.map((x) => (
          <circle key={x} cx={x} cy={y} r={3} fill="var(--panel)" stroke={colour} strokeWidth={1.5} />
        ))}
      </svg>
      <span
        aria-hidden
        className={clsx('absolute top-[5px] flex min-w-0 items-center gap-1 text-2xs leading-4', arrow.label.align === 'center' ? 'justify-center' : arrow.label.align === 'right' ? 'justify-end' : '')}
        style={{ left: TIME + arrow.label.left, width: arrow.label.width }}
      >
        <span className={clsx('inline-flex max-w-full min-w-0 items-center gap-1 rounded px-0.5', chosen ? 'bg-selected' : 'bg-panel group-hover:bg-hover')}>
          {failed && <TriangleAlert aria-hidden className="size-3 shrink-0 text-warn" />}
          <span className="shrink-0 font-semibold" style={{ color: dim ? 'var(--faint)' : colour }}>
            {message.type}
          </span>
          {!roomy && <span className={clsx('truncate', dim ? 'text-faint' : 'text-text')}>{text}</span>}
        </span>
      </span>
      {roomy && (
        <span aria-hidden className={clsx('absolute top-0 right-4 flex h-full items-center border-l border-line pl-3 text-sm', dim ? 'text-faint' : 'text-text')} style={{ left: TIME + lanesWidth + 8 }}>
          <span className="line-clamp-2 leading-[17px]">{text || <em className="text-faint">empty</em>}</span>
        </span>
      )}
    </button>
  )
})

function dashes(message: TimedMessage): string | undefined {
  return message.provenance === 'inferred' ? '4 4' : undefined
}

