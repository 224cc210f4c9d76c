/** Of the traces that are listed: when they came, how many failed, and what they cost. A bar leads to its time. */
import { useStats } from '@/api/queries'
import type { TraceQuery } from '@/api/types'
import { fillBuckets } from '@/shared/buckets'
import { cost, count } from '@/shared/format'
import type { Bar } from '@/shared/ui/Bars'
import { Bars } from '@/shared/ui/Bars'
import type { SetTime } from './TimeFilter'

/** A chart has at least so many bars: a few traces are no block. */
const LEAST = 24

export function Volume({ query, onPick, when }: { query: TraceQuery; onPick: SetTime; when: boolean }) {
  const { service, framework, agent, status, failure, since, until, joined } = query
  // To add up what a text finds would take the server longer than to find it.
  const stats = useStats({ service, framework, agent, status, failure, since, until, joined }, when && !query.q)
  const data = stats.data
  if (query.q || !data?.traces) return null
  const end = until ? Date.parse(until) - 1 : stats.dataUpdatedAt
  const buckets = fillBuckets(data.over_time, data.bucket_seconds, since ? Date.parse(since) : null, end, LEAST)
  const pick = (index: number) => {
    const start = buckets[index]?.startMs
    if (start !== undefined) onPick(new Date(start).toISOString(), new Date(start + data.bucket_seconds * 1000).toISOString())
  }
  type Point = (typeof data.over_time)[number]
  const over = (values: (point: Point) => number[], none: number[]): Bar[] =>
    buckets.map(({ startMs, point }) => ({ label: new Date(startMs).toLocaleString(), values: point ? values(point) : none }))
  const priced = data.cost_usd !== null
  return (
    <div className="ml-auto hidden min-w-0 justify-end gap-6 lg:flex">
      <Spark
        onPick={pick}
        name="Traces"
        figure={`${count(data.traces)} · ${String(Math.round((100 * data.errors) / data.traces))} % errors`}
        title="Traces over time"
        bars={over((p) => [p.errors, p.traces - p.errors], [0, 0])}
        colours={['var(--danger)', 'var(--accent-strong)']}
        names={['with an error', 'without']}
      />
      <Spark onPick={pick} name="Failures" figure={count(data.failures)} title="Failures over time" bars={over((p) => [p.failures], [0])} colours={['var(--warn)']} names={['failures']} />
      {priced ? (
        <Spark onPick={pick} name="Cost" figure={cost(data.cost_usd ?? 0)} title="Cost over time" bars={over((p) => [p.cost_usd ?? 0], [0])} colours={['var(--agent-2)']} names={['']} format={cost} />
      ) : (
        <Spark onPick={pick} name="Tokens" figure={count(data.tokens_in + data.tokens_out)} title="Tokens over time" bars={over((p) => [p.tokens], [0])} colours={['var(--agent-2)']} names={['tokens']} format={count} />
      )}
    </div>
  )
}

function Spark({ name, figure, ...chart }: { name: string; figure: string; title: string; bars: readonly Bar[]; colours: readonly string[]; names: readonly string[]; format?: (value: number) => string; onPick: (index: number) => void }) {
  return (
    <dl className="tabular w-40 min-w-0 text-xs">
      <dt className="float-left leading-4 text-muted">{name}</dt>
      <dd className="text-right leading-4 font-medium">{figure}</dd>
      <dd className="clear-both pt-1">
        <Bars height={26} {...chart} />
      </dd>
    </dl>
  )
}
