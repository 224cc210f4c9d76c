/** How a run or a span ended, never by colour alone. */
import { CircleCheck, CircleDashed, CircleX } from 'lucide-react'
import { Badge } from './basics'

export type RunStatus = 'running' | 'ok' | 'error'

const NAMES: Record<RunStatus, string> = { running: 'Running', ok: 'OK', error: 'Error' }

export function StatusIcon({ status }: { status: RunStatus }) {
  const props = { className: 'size-4 shrink-0', strokeWidth: 2, role: 'img', 'aria-label': NAMES[status] } as const
  if (status === 'ok') return <CircleCheck {...props} className="size-4 shrink-0 text-ok" />
  if (status === 'error') return <CircleX {...props} className="size-4 shrink-0 text-danger" />
  return <CircleDashed {...props} className="pulse-dot size-4 shrink-0 text-accent" />
}

export function StatusBadge({ status }: { status: RunStatus }) {
  const tone = status === 'ok' ? 'ok' : status === 'error' ? 'danger' : 'accent'
  return (
    <Badge tone={tone}>
      {status === 'running' && <span className="pulse-dot size-1.5 rounded-full bg-accent" />}
      {NAMES[status]}
    </Badge>
  )
}
