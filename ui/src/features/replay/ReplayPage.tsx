/** One replay: how far it is, what came from where, and what is different now. */
import { Ban, ChevronRight } from 'lucide-react'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { hasEnded, useCancelReplay, useReplay, useReplayDiff } from '@/api/replays'
import { ApiError } from '@/api/queries'
import type { Replay, ReplayStep } from '@/api/types'
import { Content } from '@/shared/content/Content'
import { ago, duration, plural } from '@/shared/format'
import { micros } from '@/shared/time'
import { Button, linkLook, SkeletonLines } from '@/shared/ui/basics'
import { Card, Page } from '@/shared/ui/Page'
import { ErrorState } from '@/shared/ui/states'
import { toast } from '@/shared/ui/toast'
import { DiffView } from './DiffView'
import { Lineage } from './Lineage'
import { AgentName, ColouredAs, Note, ReplayStatus, TierBadge, TierBar } from './pieces'
import { spoken } from './edits'

export function ReplayPage() {
  const { replayId = '' } = useParams()
  const replay = useReplay(replayId)
  if (replay.data) {
    return (
      <ColouredAs traceId={replay.data.source_trace_id}>
        <Loaded replay={replay.data} />
      </ColouredAs>
    )
  }
  if (replay.error) {
    const gone = replay.error instanceof ApiError && replay.error.status === 404
    return <ErrorState title={gone ? 'No such replay' : 'The replay cannot be shown'} detail={replay.error.message} retry={() => void replay.refetch()} />
  }
  return <SkeletonLines lines={10} label="Loading the replay" />
}

function Loaded({ replay }: { replay: Replay }) {
  const cancel = useCancelReplay()
  const ended = hasEnded(replay)
  return (
    <Page
      title={replay.label || 'Replay'}
      lead={
        <span className="flex flex-wrap items-center gap-1.5">
          <Link to={`/traces/${replay.source_trace_id}`} className="text-accent hover:underline">
            trace {replay.source_trace_id.slice(0, 8)}
          </Link>
          <ChevronRight aria-hidden className="size-3.5 text-faint" />
          {replay.trace_id ? (
            <Link to={`/traces/${replay.trace_id}`} className="text-accent hover:underline">
              trace {replay.trace_id.slice(0, 8)}
            </Link>
          ) : (
            <span>no trace yet</span>
          )}
          <span>· {ago(micros(replay.created_at) / 1000)}</span>
        </span>
      }
      controls={
        <>
          <ReplayStatus status={replay.status} />
          {!ended && (
            <Button look="danger" disabled={cancel.isPending || replay.cancel} onClick={() => { cancel.mutate(replay.replay_id, { onError: (error) => { toast(error.message) } }) }}>
              <Ban aria-hidden className="size-3.5" /> {replay.cancel ? 'Cancelling …' : 'Cancel'}
            </Button>
          )}
          <Link to={`/traces/${replay.source_trace_id}/replay?checkpoint=${encodeURIComponent(replay.checkpoint_id)}`} className={linkLook()}>
            Another try
          </Link>
        </>
      }
    >
      {replay.error && <Note tone={replay.status === 'stopped' ? 'warn' : 'danger'}>{replay.error}</Note>}
      {replay.note && <Note tone="neutral">{replay.note}</Note>}
      <div className="grid items-start gap-5 lg:grid-cols-2">
        <Card title="Where its calls came from" aside={replay.duration_ms === null ? undefined : duration(replay.duration_ms * 1000)}>
          <div aria-live="polite" className="flex flex-col gap-3">
            <TierBar counts={replay.counts} />
            <p className="text-2xs text-muted">
              Restored: lies before the checkpoint. Recorded: answered from the original run. Live: executed again.
            </p>
          </div>
        </Card>
        <Card title="What was changed" aside={plural(replay.edits.length, 'edit')}>
          {replay.edits.length === 0 ? (
            <p className="text-muted">Nothing: it repeats the original run.</p>
          ) : (
            <ul className="flex flex-col gap-2">
              {replay.edits.map((edit) => (
                <li key={edit.path} className="min-w-0">
                  <p className="font-mono text-2xs text-muted">{edit.path.startsWith('/') ? spoken(edit.path) : edit.path}</p>
                  <Content value={edit.value} fold={120} />
                </li>
              ))}
            </ul>
          )}
        </Card>
      </div>
      {replay.experiment_id && (
        <p className="text-muted">
          Part of{' '}
          <Link to={`/experiments/${replay.experiment_id}`} className="text-accent hover:underline">
            an experiment
          </Link>
        </p>
      )}
      {replay.trace_id && ended && <Difference replay={replay} />}
      {replay.steps && replay.steps.length > 0 && (
        <Card title={replay.status === 'simulated' ? 'What would run again' : 'Its calls, one by one'} aside={plural(replay.steps.length, 'call')} flush>
          <Steps steps={replay.steps} />
        </Card>
      )}
      <Lineage traceId={replay.trace_id ?? replay.source_trace_id} here={replay.trace_id} />
    </Page>
  )
}

function Difference({ replay }: { replay: Replay }) {
  const diff = useReplayDiff(replay)
  if (diff.data) return <DiffView diff={diff.data} names={{ left: 'Original', right: 'Replay' }} />
  if (diff.error) return <ErrorState title="Not yet to be compared" detail={diff.error.message} retry={() => void diff.refetch()} />
  return <SkeletonLines lines={8} label="Comparing" />
}

function Steps({ steps }: { steps: readonly ReplayStep[] }) {
  const [open, setOpen] = useState(false)
  const restored = steps.filter((step) => step.tier === 'restored').length
  const shown = open ? steps : steps.filter((step) => step.tier !== 'restored')
  return (
    <>
      {restored > 0 && (
        <div className="px-4 pb-2">
          <button type="button" aria-expanded={open} onClick={() => { setOpen(!open) }} className="w-full rounded-md border border-dashed border-line py-1 text-center text-xs text-muted hover:bg-hover hover:text-text">
            {open ? 'Hide' : 'Show'} {plural(restored, 'call')} before the checkpoint
          </button>
        </div>
      )}
      <table className="w-full text-xs" aria-label="Calls">
        <tbody>
          {shown.map((step) => (
            <tr key={step.trace_id + step.span_id} className="border-t border-line">
              <td className="w-24 py-1.5 pl-4">
                <TierBadge tier={step.tier} />
              </td>
              <td className="px-2">{step.agent && <AgentName name={step.agent} />}</td>
              <td className="px-2 py-1.5">
                <Link to={`/traces/${step.trace_id}?span=${step.span_id}`} className="hover:text-accent">
                  {step.kind === 'llm' ? 'model' : step.kind} {step.name}
                </Link>
                <p className="text-2xs text-muted sm:hidden">{step.why}</p>
              </td>
              <td className="hidden px-4 py-1.5 text-muted sm:table-cell">{step.why}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}
