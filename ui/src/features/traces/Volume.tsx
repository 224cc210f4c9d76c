/** How many traces came in, and how many failed, over the time that is shown. */
import { useStats } from '@/api/queries'
import { fillBuckets } from '@/shared/buckets'
import { cost, count } from '@/shared/format'
import { Bars } from '@/shared/ui/Bars'

export function Volume({ since, when }: { since: string | null | undefined; when: boolean }) {
  const stats = useStats(since ?? undefined, undefined, when)
  const data = stats.data
  if (!data?.traces) return null
  const bars = fillBuckets(data.over_time, data.bucket_seconds, since ? Date.parse(since) : null, stats.dataUpdatedAt).map(({ startMs, point }) => {
    const bad = Math.max(point?.errors ?? 0, 0)
    return { label: new Date(startMs).toLocaleString(), values: [bad, (point?.traces ?? 0) - bad] }
  })
  return (
    <div className="ml-auto hidden min-w-0 flex-1 items-end justify-end gap-6 lg:flex">
      <div className="w-full max-w-96">
        <Bars title="Traces over time" bars={bars} colours={['var(--danger)', 'var(--accent-strong)']} names={['with an error', 'without']} height={40} />
      </div>
      <dl className="tabular grid shrink-0 grid-cols-[auto_auto] gap-x-3 text-xs">
        <Figure name="With errors" value={`${String(Math.round((100 * data.errors) / data.traces))} %`} />
        <Figure name="Failures found" value={count(data.failures)} />
        {data.cost_usd === null ? <Figure name="Tokens" value={count(data.tokens_in + data.tokens_out)} /> : <Figure name="Cost" value={cost(data.cost_usd)} />}
      </dl>
    </div>
  )
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt className="leading-[15px] text-muted">{name}</dt>
      <dd className="text-right leading-[15px] font-medium">{value}</dd>
    </>
  )
}
