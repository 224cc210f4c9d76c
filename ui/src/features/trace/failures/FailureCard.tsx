/** One finding: what, who, the quote that shows it, and a person's verdict. */
import clsx from 'clsx'
import { Check, Link2, MessageSquareText, Pencil, Quote, Undo2, X } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { Link } from 'react-router'
import { useReview } from '@/api/queries'
import type { Failure, Review } from '@/api/types'
import { copy } from '@/shared/clipboard'
import { Badge, Button, IconButton } from '@/shared/ui/basics'
import { Fold } from '@/shared/content/Content'
import { toast } from '@/shared/ui/toast'
import { useLinkedFailure, useTraceView } from '../context'
import { messageBefore, targetOf } from '../model'
import { AgentLink } from '../names'
import { codeOf, nameOf, title } from '@/shared/failureNames'
import { finders } from './model'
import { VerdictForm } from './VerdictForm'

const SEVERITY_TONES = { critical: 'danger', high: 'danger', medium: 'warn', low: 'neutral' } as const

export function FailureCard({ failure, linked = true }: { failure: Failure; linked?: boolean }) {
  const { data, select } = useTraceView()
  const linkedTo = useLinkedFailure() === failure.annotation_id
  const card = useRef<HTMLElement>(null)
  useEffect(() => {
    if (linkedTo) card.current?.scrollIntoView({ block: 'center' })
  }, [linkedTo])
  const review = useReview(data.summary.trace_id)
  const [editing, setEditing] = useState(false)
  const code = codeOf(failure)
  const target = targetOf(failure, data)
  const decide = (next: Review) => {
    review.mutate({ id: failure.annotation_id, review: next }, { onError: (error) => { toast(`Not saved: ${error.message}`) } })
  }
  const rejected = failure.review === 'rejected'
  const replayable = messageBefore(failure, data)
  return (
    <article
      ref={card}
      aria-label={nameOf(failure)}
      aria-current={linkedTo || undefined}
      className={clsx('rounded-lg border bg-panel', failure.decisive && !rejected ? 'border-warn' : 'border-line', rejected && 'opacity-70', linkedTo && 'ring-2 ring-accent')}
    >
      <div className="flex flex-col gap-1.5 px-3 pt-2.5 pb-2">
        <div className="flex items-baseline gap-2">
          {code && <span className="font-mono text-2xs text-muted">{code}</span>}
          <h4 className={clsx('font-semibold', rejected && 'line-through')}>{nameOf(failure)}</h4>
        </div>
        <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
          {failure.decisive && <Badge tone="warn">decisive step</Badge>}
          <Badge tone={SEVERITY_TONES[failure.severity]}>{failure.severity}</Badge>
          <Confidence value={failure.confidence} />
          <span className="text-2xs text-faint">{finders(failure)}</span>
          {failure.found_mode && <span className="text-2xs text-faint">as {title(failure.found_mode)}</span>}
        </div>
        {failure.explanation && <p className="text-muted">{failure.explanation}</p>}
        {failure.evidence && (
          <div className="flex gap-2 rounded-md bg-raised px-2.5 py-1.5">
            <Quote aria-hidden className="mt-1 size-3 shrink-0 text-faint" />
            <blockquote className="min-w-0 flex-1 text-xs break-words whitespace-pre-wrap">
              <Fold height={110}>{failure.evidence}</Fold>
            </blockquote>
          </div>
        )}
        {failure.comment && (
          <p className="flex gap-2 text-xs">
            <MessageSquareText role="img" aria-label="Comment" className="mt-0.5 size-3.5 shrink-0 text-faint" />
            <span className="min-w-0 break-words whitespace-pre-wrap">{failure.comment}</span>
          </p>
        )}
      </div>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1 border-t border-line py-1 pr-1 pl-3 text-xs">
        {failure.agent && <AgentLink name={failure.agent} />}
        {linked && (target.kind === 'message' || target.kind === 'span') && (
          <button type="button" aria-label={`Show ${target.kind}`} onClick={() => { select(target) }} className="font-medium text-accent hover:underline">
            Show
          </button>
        )}
        {replayable && (
          <Link to={`/traces/${data.summary.trace_id}/replay?message=${encodeURIComponent(replayable)}`} className="font-medium text-accent hover:underline">
            Replay from before this
          </Link>
        )}
        <span className="ml-auto flex items-center">
          <IconButton label="Copy link to this failure" onClick={() => void copy(failureUrl(failure.annotation_id), 'Link')}>
            <Link2 className="size-3.5" />
          </IconButton>
          <IconButton label="Change or comment" aria-expanded={editing} onClick={() => { setEditing(!editing) }}>
            <Pencil className="size-3.5" />
          </IconButton>
          {failure.review === 'proposed' ? (
            <>
              <Button look="plain" className="px-2" disabled={review.isPending} onClick={() => { decide('confirmed') }}>
                <Check aria-hidden className="size-3.5" /> Confirm
              </Button>
              <Button look="plain" className="px-2" disabled={review.isPending} onClick={() => { decide('rejected') }}>
                <X aria-hidden className="size-3.5" /> Reject
              </Button>
            </>
          ) : (
            <>
              <Badge tone={rejected ? 'neutral' : 'ok'}>
                {failure.review}
                {failure.reviewer && ` by ${failure.reviewer}`}
              </Badge>
              <Button look="plain" disabled={review.isPending} onClick={() => { decide('proposed') }}>
                <Undo2 aria-hidden className="size-3.5" /> Undo
              </Button>
            </>
          )}
        </span>
      </div>
      {editing && <VerdictForm failure={failure} onClose={() => { setEditing(false) }} />}
    </article>
  )
}

/** The address of this page that shows one failure, in the view that has them all. */
function failureUrl(id: string): string {
  const url = new URL(window.location.href)
  url.search = new URLSearchParams({ view: 'failures', failure: id }).toString()
  return url.href
}

function Confidence({ value }: { value: number }) {
  const percent = Math.round(value * 100)
  return (
    <span title={`Confidence ${String(percent)} %`} className="tabular flex items-center gap-1.5 text-2xs text-muted">
      <span aria-hidden className="h-1 w-8 overflow-hidden rounded-full bg-line">
        <span className="block h-full bg-current" style={{ width: `${String(percent)}%` }} />
      </span>
      {percent} %
    </span>
  )
}
