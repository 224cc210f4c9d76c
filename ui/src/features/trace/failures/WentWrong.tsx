/** Where a failed run went wrong: its likeliest steps, with reasons. */
import { useDecisive } from '@/api/reviews'
import type { Decisive } from '@/api/types'
import { useTraceView } from '../context'
import { AgentLink } from '../names'
import type { Selection } from '../model'

const SHOWN = 3

export function WentWrong() {
  const { data } = useTraceView()
  const failures = data.failures.map((f) => `${f.annotation_id}${f.review}${String(f.decisive)}`).join()
  const decisive = useDecisive(data.summary.trace_id, `${String(data.summary.version)} ${failures}`)
  // Once a person has named the step, the others have no share left.
  const steps = decisive.data?.steps.filter((step) => percentOf(step) > 0).slice(0, SHOWN) ?? []
  if (!decisive.data?.failed || !steps.length) return null
  return (
    <section aria-label="Where it went wrong" className="mb-4 flex flex-col gap-2">
      <h3 className="text-xs font-semibold text-muted">Where it went wrong{decisive.data.named ? '' : ', the likeliest step first'}</h3>
      <ol className="flex flex-col overflow-hidden rounded-lg border border-line bg-panel">
        {steps.map((step, place) => (
          <Step key={step.message_id ?? step.span_id ?? place} step={step} />
        ))}
      </ol>
    </section>
  )
}

function percentOf(step: Decisive['steps'][number]): number {
  return Math.round(step.score * 100)
}

function Step({ step }: { step: Decisive['steps'][number] }) {
  const { select } = useTraceView()
  const target: Selection | null = step.message_id
    ? { kind: 'message', messageId: step.message_id }
    : step.span_id
      ? { kind: 'span', spanId: step.span_id }
      : null
  return (
    <li className="flex flex-col gap-1 border-b border-line px-3 py-2 last:border-b-0">
      <div className="flex items-baseline gap-2 text-xs">
        <AgentLink name={step.agent} />
        <span title="Its share of the likelihood" className="tabular text-2xs text-muted">
          {percentOf(step)} %
        </span>
        {target && (
          <button type="button" aria-label="Show the step" onClick={() => { select(target) }} className="ml-auto font-medium text-accent hover:underline">
            Show
          </button>
        )}
      </div>
      {step.reasons.length > 0 && <p className="text-xs">{step.reasons.join('; ')}</p>}
      {step.quote && <p className="line-clamp-2 text-xs break-words text-muted">{step.quote}</p>}
    </li>
  )
}
