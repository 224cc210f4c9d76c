/** The outcome in one glance: how it ended, what decided it, what it took. */
import { ChevronRight, CircleCheck, Copy, Download, Link2, RefreshCw, RotateCcw, Terminal, Trash2, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { useState } from 'react'
import { Link, useNavigate } from 'react-router'
import { apiUrl, exportUrl, useClassify, useDeleteTraces } from '@/api/queries'
import { copy } from '@/shared/clipboard'
import { cost, count, duration } from '@/shared/format'
import { useShortcuts } from '@/shared/shortcuts'
import { Badge, Button, linkLook } from '@/shared/ui/basics'
import { Dialog } from '@/shared/ui/Dialog'
import { Popover } from '@/shared/ui/Popover'
import { StatusBadge } from '@/shared/ui/status'
import { toast } from '@/shared/ui/toast'
import { When } from '@/shared/ui/When'
import { useTraceView } from './context'
import { codeOf, nameOf } from '@/shared/failureNames'
import { JoinAgain, JoinedMark } from './Joined'
import type { TraceData } from './model'
import { decisiveFailure, NOTHING, targetOf } from './model'
import { Tokens } from './Reckoning'

export function Header({ data, live }: { data: TraceData; live: boolean }) {
  const { summary } = data
  const { select } = useTraceView()
  useShortcuts([
    { keys: 'c', label: 'Copy link to this', group: 'Trace', run: () => void copy(window.location.href, 'Link') },
    { keys: 'Escape', label: 'Select nothing', group: 'Trace', run: () => { select(NOTHING) } },
  ])
  return (
    <header className="shrink-0 px-5 pt-3 pb-2">
      <div className="flex min-w-0 flex-wrap items-center gap-x-2 gap-y-1 sm:flex-nowrap">
        <Link to="/traces" className="shrink-0 text-muted hover:text-text">
          Traces
        </Link>
        <ChevronRight aria-hidden className="size-3.5 shrink-0 text-faint" />
        {/* On a phone the name has a line of its own: beside the buttons nothing would be left of it. */}
        <h1 className="order-last w-full min-w-0 truncate text-base font-semibold sm:order-none sm:w-auto" title={summary.name}>
          {summary.name || '(no name)'}
        </h1>
        <StatusBadge status={summary.status} failures={data.failures.filter((f) => f.shown).length} />
        {summary.frameworks.map((f) => (
          <Badge key={f} className="hidden sm:inline-flex">
            {f}
          </Badge>
        ))}
        <JoinedMark summary={summary} />
        {summary.replay_of && (
          <Link to={summary.replay_id ? `/replays/${summary.replay_id}` : `/traces/${summary.replay_of}`}>
            <Badge tone="accent">Replay of {summary.replay_of.slice(0, 8)}</Badge>
          </Link>
        )}
        {summary.status === 'running' && live && <span className="hidden text-xs text-ok sm:inline">Live</span>}
        <Actions data={data} />
      </div>
      <div className="mt-1.5 flex flex-wrap items-center gap-x-6 gap-y-1.5">
        {/* A row of its own, always as high: what is read below must not move when the outcome is known. */}
        <div role="group" aria-label="Outcome" className="flex min-h-7 w-full min-w-0 items-center sm:h-7">
          <Verdict data={data} />
        </div>
        <dl className="tabular flex flex-wrap items-baseline gap-x-5 gap-y-1 text-xs">
          <Figure name="Duration" value={duration(summary.duration_ms * 1000)} />
          <Figure name="Agents" value={count(data.agents.length)} />
          <Figure name="Messages" value={count(data.messages.length || summary.message_count)} />
          <Figure
            name="Spans"
            value={
              <>
                {count(summary.span_count)}
                {summary.error_count > 0 && <span className="text-danger"> · {count(summary.error_count)} failed</span>}
              </>
            }
          />
          <Figure name="Tokens" value={<Tokens summary={summary} />} />
          {summary.cost_usd !== null && <Figure name="Cost" value={cost(summary.cost_usd)} />}
          <Figure roomy name="Started" value={<When at={summary.start_time} />} />
          <Figure roomy name="Service" value={<span className="inline-block max-w-36 truncate align-bottom">{summary.service_name}</span>} />
        </dl>
      </div>
    </header>
  )
}

function Figure({ name, value, roomy = false }: { name: string; value: ReactNode; roomy?: boolean }) {
  return (
    <div className={roomy ? 'hidden items-baseline gap-1.5 sm:flex' : 'flex items-baseline gap-1.5'}>
      <dt className="text-faint">{name}</dt>
      <dd className="font-medium">{value}</dd>
    </div>
  )
}

/** What decided the outcome, in one sentence that leads to the place. */
function Verdict({ data }: { data: TraceData }) {
  const { select } = useTraceView()
  const failure = decisiveFailure(data.failures)
  if (failure) {
    const code = codeOf(failure)
    return (
      <button
        type="button"
        onClick={() => { select(targetOf(failure, data)) }}
        className="flex max-w-full min-w-0 items-center gap-2 rounded-md bg-warn-soft px-2.5 py-1 text-left text-warn hover:brightness-110"
      >
        <TriangleAlert aria-hidden className="mt-0.5 size-3.5 shrink-0 self-start" />
        <span className="line-clamp-4 min-w-0 sm:block sm:truncate">
          <strong className="font-semibold">
            {code && `${code} `}
            {nameOf(failure)}
          </strong>
          {failure.agent && ` · ${failure.agent}`}
          {failure.explanation && <span className="text-text"> — {failure.explanation}</span>}
        </span>
      </button>
    )
  }
  if (!data.summary.analysed || data.summary.status === 'running') {
    return <span className="text-muted">{data.summary.status === 'running' ? 'The run has not ended yet.' : 'Analysing …'}</span>
  }
  const errors = data.summary.error_count
  if (errors) return <span className="text-danger">{errors === 1 ? 'One span ended with an error' : `${count(errors)} spans ended with an error`}; no failure mode was recognised.</span>
  return (
    <span className="flex items-center gap-1.5 text-ok">
      <CircleCheck aria-hidden className="size-3.5" /> No failure found
    </span>
  )
}

function Actions({ data }: { data: TraceData }) {
  const id = data.summary.trace_id
  const [asking, setAsking] = useState(false)
  const navigate = useNavigate()
  const remove = useDeleteTraces()
  const classify = useClassify(id)
  const item = 'flex w-full items-center gap-2 rounded px-2 py-1.5 text-left hover:bg-hover'
  return (
    <div className="ml-auto flex shrink-0 items-center gap-1.5">
      <button
        type="button"
        title="Copy the trace id"
        onClick={() => void copy(id, 'Trace id')}
        className="hidden items-center gap-1 rounded px-1.5 py-0.5 font-mono text-2xs text-muted hover:bg-hover hover:text-text md:inline-flex"
      >
        {id.slice(0, 8)} <Copy aria-hidden className="size-3" />
      </button>
      <Link to={`/traces/${id}/replay`} className={linkLook()}>
        <RotateCcw aria-hidden className="size-3.5" /> Replay
      </Link>
      <Button onClick={() => void copy(window.location.href, 'Link')}>
        <Link2 aria-hidden className="size-3.5" /> <span className="hidden sm:inline">Link</span>
      </Button>
      <Popover label="More actions" trigger={<span aria-hidden>···</span>}>
        {(close) => (
          <div className="w-52 p-1.5">
            <button type="button" className={item} onClick={() => { close(); void copy(`curl -s '${apiUrl('traces', id)}'`, 'Command') }}>
              <Terminal aria-hidden className="size-3.5 text-muted" /> Copy as curl
            </button>
            <a href={exportUrl(id)} download className={item} onClick={close}>
              <Download aria-hidden className="size-3.5 text-muted" /> Export as OTLP
            </a>
            <button
              type="button"
              className={item}
              onClick={() => {
                close()
                classify.mutate(undefined, {
                  onSuccess: () => { toast('Analysed again') },
                  onError: (error) => { toast(error.message) },
                })
              }}
            >
              <RefreshCw aria-hidden className="size-3.5 text-muted" /> Analyse again
            </button>
            <JoinAgain traceId={id} className={item} close={close} />
            <button type="button" className={`${item} text-danger`} onClick={() => { close(); setAsking(true) }}>
              <Trash2 aria-hidden className="size-3.5" /> Delete
            </button>
          </div>
        )}
      </Popover>
      <Dialog title="Delete this trace?" open={asking} onClose={() => { setAsking(false) }} className="w-[min(26rem,calc(100vw-2rem))]">
        <div className="flex flex-col gap-4 p-4">
          <p className="text-muted">Its spans, messages, checkpoints and failures go with it. This cannot be undone.</p>
          {remove.error && (
            <p role="alert" className="text-danger">
              {remove.error.message}
            </p>
          )}
          <div className="flex justify-end gap-2">
            <Button onClick={() => { setAsking(false) }}>Keep</Button>
            <Button
              look="danger"
              disabled={remove.isPending}
              onClick={() => {
                remove.mutate([id], {
                  onSuccess: () => {
                    toast('Trace deleted')
                    void navigate('/traces')
                  },
                })
              }}
            >
              {remove.isPending ? 'Deleting …' : 'Delete'}
            </Button>
          </div>
        </div>
      </Dialog>
    </div>
  )
}
