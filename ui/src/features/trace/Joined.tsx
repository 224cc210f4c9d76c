/** Of which traces a joined one is made, and the way back. */
import { Combine, Split } from 'lucide-react'
import { Link, useNavigate } from 'react-router'
import { useJoin, useParts, useSplit } from '@/api/queries'
import type { TraceSummary } from '@/api/types'
import { count } from '@/shared/format'
import { Badge, Button } from '@/shared/ui/basics'
import { Popover } from '@/shared/ui/Popover'
import { toast } from '@/shared/ui/toast'

const REASONS: Record<string, string> = {
  step: 'the same step of the framework',
  link: 'linked to each other',
  message: 'the same message',
  handoff: 'handed over to',
  session: 'the same session at the same time',
  announced: 'announces an agent of the run',
  'by hand': 'joined by hand',
}

/** Says of a joined trace from how many it was joined, and of a part what it is part of. */
export function JoinedMark({ summary }: { summary: TraceSummary }) {
  if (summary.part_of) {
    return (
      <Link to={`/traces/${summary.part_of}`}>
        <Badge tone="accent">Part of a joined trace</Badge>
      </Link>
    )
  }
  if (!summary.parts) return null
  return (
    <Popover label={`Joined from ${count(summary.parts)} traces`} align="left" trigger={<><Combine aria-hidden className="size-3.5" /> {count(summary.parts)} traces</>}>
      {(close) => <Parts traceId={summary.trace_id} close={close} />}
    </Popover>
  )
}

function Parts({ traceId, close }: { traceId: string; close: () => void }) {
  const parts = useParts(traceId)
  const split = useSplit(traceId)
  const navigate = useNavigate()
  const undo = () => {
    split.mutate(undefined, {
      onSuccess: ({ trace_ids: alone }) => {
        close()
        toast(`${count(alone.length)} traces stand alone again`)
        void navigate(alone[0] ? `/traces/${alone[0]}` : '/traces', { replace: true })
      },
    })
  }
  const error = parts.error ?? split.error
  return (
    <div className="flex max-h-[60vh] w-[min(24rem,calc(100vw-3rem))] flex-col gap-2 p-3">
      <p className="text-muted">These traces were recorded apart and are shown as the one run they belong to.</p>
      <ul aria-label="Parts" className="min-h-0 overflow-y-auto">
        {parts.data?.items.map((part) => (
          <li key={part.trace_id} className="flex min-w-0 items-baseline gap-2 py-0.5">
            <Link to={`/traces/${part.trace_id}`} className="shrink-0 font-mono text-2xs text-accent hover:underline">
              {part.trace_id.slice(0, 8)}
            </Link>
            <span className="min-w-0 truncate" title={part.name}>
              {part.name}
            </span>
            <span className="ml-auto shrink-0 text-2xs text-muted">{part.apart ? 'taken out' : part.reason ? REASONS[part.reason] : 'first'}</span>
          </li>
        ))}
      </ul>
      {error && (
        <p role="alert" className="text-danger">
          {error.message}
        </p>
      )}
      <Button disabled={split.isPending} onClick={undo}>
        <Split aria-hidden className="size-3.5" /> {split.isPending ? 'Taking apart …' : 'Undo the join'}
      </Button>
    </div>
  )
}

/** Joins again what was taken apart; shows nothing where nothing was. */
export function JoinAgain({ traceId, className, close }: { traceId: string; className: string; close: () => void }) {
  const parts = useParts(traceId)
  const join = useJoin(traceId)
  const navigate = useNavigate()
  if (!parts.data?.items.some((part) => part.trace_id === traceId && part.apart)) return null
  return (
    <button
      type="button"
      className={className}
      disabled={join.isPending}
      onClick={() => {
        join.mutate(undefined, {
          onSuccess: ({ trace_id: joined }) => {
            close()
            if (joined) void navigate(`/traces/${joined}`)
          },
          onError: (error) => { toast(error.message) },
        })
      }}
    >
      <Combine aria-hidden className="size-3.5 text-muted" /> Join again
    </button>
  )
}
