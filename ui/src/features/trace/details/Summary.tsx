/** Nothing selected: what was asked, what came out, what went wrong, who took part. */
import { CircleCheck } from 'lucide-react'
import { useSpan } from '@/api/queries'
import { ContentSection } from '@/shared/content/Content'
import { cost, count } from '@/shared/format'
import { USER } from '@/shared/palette'
import { Skeleton } from '@/shared/ui/basics'
import { useTraceView } from '../context'
import { FailureList } from '../failures/FailureList'
import { AgentLink } from '../names'
import { Section } from './pieces'

export function Summary() {
  const { data, view } = useTraceView()
  const { summary } = data
  return (
    <div className="flex flex-col gap-5">
      {view === 'failures' ? null : data.failures.length > 0 ? (
        <FailureList />
      ) : summary.analysed ? (
        <p className="flex items-center gap-2 rounded-lg bg-ok-soft px-3 py-2 text-ok">
          <CircleCheck aria-hidden className="size-4" /> No failure found
        </p>
      ) : (
        <p className="text-muted">Failures are looked for as soon as the trace has gone quiet.</p>
      )}
      <RootContents />
      {data.agents.length > 0 && <Agents />}
    </div>
  )
}

/** The task and the answer: what the root says, else the user's first and last message. */
function RootContents() {
  const { data } = useTraceView()
  const { skeleton } = data
  const row = skeleton.parent.indexOf(-1)
  const id = skeleton.span_id[row]
  const asked = data.messages.find((m) => m.sender === USER)
  const answered = [...data.messages].reverse().find((m) => m.recipient === USER)
  if (asked && answered && asked !== answered) {
    return (
      <>
        <ContentSection title="Asked" text={asked.content} fold={180} />
        <ContentSection title="Answered" text={answered.content} fold={240} />
      </>
    )
  }
  return id === undefined ? null : <RootSpan id={id} />
}

function RootSpan({ id }: { id: string }) {
  const { data } = useTraceView()
  const span = useSpan(data.summary.trace_id, id, data.summary.version)
  if (!span.data) return span.error ? null : <Skeleton className="h-16 w-full" />
  return (
    <>
      <ContentSection title="Input" text={span.data.input} fold={180} />
      <ContentSection title="Output" text={span.data.output} fold={240} />
    </>
  )
}

function Agents() {
  const { data } = useTraceView()
  const withCost = data.agents.some((a) => a.cost_usd !== null)
  return (
    <Section title="Agents">
      <div className="overflow-x-auto rounded-lg border border-line" tabIndex={0} role="group" aria-label="Table of agents">
        <table className="tabular w-full text-xs">
          <thead>
            <tr className="text-faint">
              <th scope="col" className="h-7 px-3 text-left font-medium">
                Agent
              </th>
              <th scope="col" className="px-2 text-right font-medium">
                Spans
              </th>
              <th scope="col" className="px-2 text-right font-medium">
                Errors
              </th>
              <th scope="col" className="px-3 text-right font-medium">
                Tokens
              </th>
              {withCost && (
                <th scope="col" className="px-3 text-right font-medium">
                  Cost
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {data.agents.map((agent) => (
              <tr key={agent.name} className="border-t border-line">
                <td className="h-8 max-w-40 px-3">
                  <AgentLink name={agent.name} />
                </td>
                <td className="px-2 text-right">{count(agent.spans)}</td>
                <td className={agent.errors ? 'px-2 text-right text-danger' : 'px-2 text-right text-faint'}>{agent.errors || '–'}</td>
                <td className="px-3 text-right">{agent.tokens_in + agent.tokens_out ? count(agent.tokens_in + agent.tokens_out) : <span className="text-faint">–</span>}</td>
                {withCost && <td className="px-3 text-right">{cost(agent.cost_usd)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  )
}
