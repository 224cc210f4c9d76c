/** What several kinds of details are made of. */
import clsx from 'clsx'
import type { ReactNode } from 'react'
import { useMemo } from 'react'
import { preview } from '@/shared/content/model'
import { offset } from '@/shared/format'
import { useTraceView } from '../context'
import { typeColour } from '../graph/model'
import type { TimedMessage } from '../model'

export function Facts({ children }: { children: ReactNode }) {
  return <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-xs">{children}</dl>
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  if (children === null || children === undefined || children === '' || children === false) return null
  return (
    <>
      <dt className="text-faint">{name}</dt>
      <dd className="tabular min-w-0 font-medium break-words">{children}</dd>
    </>
  )
}

export function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <div className="mb-1.5 flex items-center gap-2">
        <h3 className="text-xs font-semibold text-muted">{title}</h3>
        {aside && <span className="ml-auto text-2xs text-faint">{aside}</span>}
      </div>
      {children}
    </section>
  )
}

/** One line for a message, which selects it. */
export function MessageLine({ message, way }: { message: TimedMessage; way?: 'in' | 'out' }) {
  const { select, selection } = useTraceView()
  const text = useMemo(() => preview(message.content, 220), [message.content])
  const chosen = selection.kind === 'message' && selection.messageId === message.message_id
  return (
    <button
      type="button"
      onClick={() => { select({ kind: 'message', messageId: message.message_id }) }}
      className={clsx('flex w-full min-w-0 flex-col gap-0.5 rounded-md px-2 py-1.5 text-left hover:bg-hover', chosen && 'bg-selected')}
    >
      <span className="flex w-full min-w-0 items-center gap-1.5 text-2xs">
        <span aria-hidden className="size-2 shrink-0 rounded-full" style={{ background: typeColour(message.type) }} />
        <span className="truncate font-medium">
          {way === 'in' ? `from ${message.sender}` : way === 'out' ? `to ${message.recipient}` : `${message.sender} → ${message.recipient}`}
        </span>
        <span className="shrink-0 text-faint">
          {message.type}
          {message.provenance === 'inferred' && ', inferred'}
        </span>
        <span className="tabular ml-auto shrink-0 text-faint">{offset(message.atUs)}</span>
      </span>
      <span className="line-clamp-2 w-full text-xs break-words text-muted">{text || 'empty'}</span>
    </button>
  )
}
