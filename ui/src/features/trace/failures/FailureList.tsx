/** Findings by category; the doubtful and the rejected ones wait behind a line. */
import { ChevronRight } from 'lucide-react'
import { useState } from 'react'
import type { Failure } from '@/api/types'
import { count, plural } from '@/shared/format'
import { useLinkedFailure, useTraceView } from '../context'
import { FailureCard } from './FailureCard'
import { title } from '@/shared/failureNames'
import type { Kind as KindOfFailure } from './model'
import { arrange } from './model'

export function FailureList() {
  const { data } = useTraceView()
  const { groups, doubtful, rejected } = arrange(data.failures)
  return (
    <div className="flex flex-col gap-4">
      {groups.map((group) => (
        <section key={group.category} aria-label={title(group.category)} className="flex flex-col gap-2">
          <h3 className="text-xs font-semibold text-muted">{title(group.category)}</h3>
          {group.kinds.map((kind) => (
            <Kind key={kind.name} kind={kind} />
          ))}
        </section>
      ))}
      <Aside failures={doubtful} name={(n) => `${plural(n, 'less certain finding')}`} />
      <Aside failures={rejected} name={(n) => `${plural(n, 'rejected finding')}`} />
    </div>
  )
}

const SHOWN = 3

function Kind({ kind }: { kind: KindOfFailure }) {
  const rest = kind.failures.slice(SHOWN)
  return (
    <>
      {kind.failures.slice(0, SHOWN).map((failure) => (
        <FailureCard key={failure.annotation_id} failure={failure} />
      ))}
      <Aside failures={rest} name={(n) => `${count(n)} more: ${kind.name.toLowerCase()}`} />
    </>
  )
}

function Aside({ failures, name }: { failures: readonly Failure[]; name: (n: number) => string }) {
  const linked = useLinkedFailure()
  const [open, setOpen] = useState(() => failures.some((f) => f.annotation_id === linked))
  if (!failures.length) return null
  return (
    <details open={open} className="group" onToggle={(event) => { setOpen(event.currentTarget.open) }}>
      <summary className="flex items-center gap-1 rounded text-xs font-medium text-muted hover:text-text">
        <ChevronRight aria-hidden className="size-3.5 transition-transform group-open:rotate-90" />
        {name(failures.length)}
      </summary>
      <div className="mt-2 flex flex-col gap-2">
        {open && failures.map((failure) => <FailureCard key={failure.annotation_id} failure={failure} />)}
      </div>
    </details>
  )
}
