/** How a run ended, never by colour alone: one without an error may still have failed. */
import { CircleCheck, CircleDashed, CircleX, TriangleAlert } from 'lucide-react'
import { plural } from '@/shared/format'
import { Badge } from './basics'

export type RunStatus = 'running' | 'ok' | 'error'

const NAMES: Record<RunStatus, string> = { running: 'Running', ok: 'OK', error: 'Error' }

export function StatusIcon({ status, failures }: { status: RunStatus; failures: number }) {
  const props = { strokeWidth: 2, role: 'img', 'aria-label': NAMES[status] } as const
  if (status === 'ok' && failures) return <TriangleAlert {...props} aria-label={`${NAMES.ok}, but with failures`} className="size-4 shrink-0 text-warn" />
  if (status === 'ok') return <CircleCheck {...props} className="size-4 shrink-0 text-ok" />
  if (status === 'error') return <CircleX {...props} className="size-4 shrink-0 text-danger" />
  return <CircleDashed {...props} className="pulse-dot size-4 shrink-0 text-accent" />
}

export function StatusBadge({ status, failures }: { status: RunStatus; failures: number }) {
  if (status === 'ok' && failures) return <Badge tone="warn">{plural(failures, 'failure')}</Badge>
  const tone = status === 'ok' ? 'ok' : status === 'error' ? 'danger' : 'accent'
  return (
    <Badge tone={tone}>
      {status === 'running' && <span className="pulse-dot size-1.5 rounded-full bg-accent" />}
      {NAMES[status]}
    </Badge>
  )
}
