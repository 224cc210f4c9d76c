/** How runs have gone over time: volume, failures, latency, tokens, cost, and who they belong to. */
import { Link, useSearchParams } from 'react-router'
import { useStats } from '@/api/queries'
import type { Stats } from '@/api/types'
import { fillBuckets } from '@/shared/buckets'
import { title } from '@/shared/failureNames'
import { cost, count, duration, plural } from '@/shared/format'
import { PERIODS, usePeriod } from '@/shared/period'
import { AgentName } from '@/shared/ui/AgentName'
import { Select, SkeletonLines } from '@/shared/ui/basics'
import { Chart } from '@/shared/ui/Chart'
import { FailureModes } from '@/shared/ui/FailureModes'
import { Figure, Figures, Warned } from '@/shared/ui/Figure'
import { Card, Page } from '@/shared/ui/Page'
import { FailuresChart, TracesChart } from '@/shared/ui/RunCharts'
import { EmptyState, ErrorState } from '@/shared/ui/states'
import { Table } from '@/shared/ui/Table'
import { FailuresBy } from './FailuresBy'

export function DashboardPage() {
  const { period, setPeriod, since } = usePeriod('7d')
  const [params, setParams] = useSearchParams()
  const service = params.get('service') ?? undefined
  const framework = params.get('framework') ?? undefined
  const stats = useStats({ since, service, framework })
  const whole = useStats({ since })
  const choose = (key: 'service' | 'framework', value: string) => {
    setParams((old) => {
      const next = new URLSearchParams(old)
      if (value) next.set(key, value)
      else next.delete(key)
      return next
    })
  }
  return (
    <Page
      title="Dashboard"
      lead="How the runs have gone"
      controls={
        <>
          <Select label="Service" any="Any service" value={service ?? ''} options={(whole.data?.services ?? []).map((s) => s.service)} onChange={(value) => { choose('service', value) }} />
          <Select label="Framework" any="Any framework" value={framework ?? ''} options={(whole.data?.frameworks ?? []).map((f) => f.framework)} onChange={(value) => { choose('framework', value) }} />
          <Select label="Period" any="All time" value={period} options={PERIODS} onChange={setPeriod} />
        </>
      }
    >
      {stats.data ? (
        stats.data.traces ? (
          <Overview stats={stats.data} since={since} until={stats.dataUpdatedAt} />
        ) : (
          <EmptyState title="No traces in this period">
            <p>Choose a longer one, or send a trace: the list of traces says how.</p>
          </EmptyState>
        )
      ) : stats.error ? (
        <ErrorState title="The figures cannot be shown" detail={stats.error.message} retry={() => void stats.refetch()} />
      ) : (
        <SkeletonLines lines={14} label="Loading figures" />
      )}
    </Page>
  )
}

function Overview({ stats, since, until }: { stats: Stats; since: string | undefined; until: number }) {
  const buckets = fillBuckets(stats.over_time, stats.bucket_seconds, since ? Date.parse(since) : null, until)
  const tokens = stats.tokens_in + stats.tokens_out
  const latency = (ms: number | null) => (ms === null ? '–' : duration(ms * 1000))
  const priced = stats.cost_usd !== null
  return (
    <>
      <Figures>
        <Figure name="Traces" value={count(stats.traces)} note={stats.running ? `${count(stats.running)} running` : `${count(stats.spans)} spans`} />
        <Figure name="With errors" value={`${percent(stats.errors, stats.traces)} %`} note={`${count(stats.errors)} traces`} />
        <Figure name="Failures found" value={count(stats.failures)} note={`${(stats.failures / stats.traces).toFixed(1)} a trace`} />
        <Figure name="Median latency" value={latency(stats.latency_ms.p50)} note={`p95 ${latency(stats.latency_ms.p95)} · p99 ${latency(stats.latency_ms.p99)}`} />
        <Figure name="Tokens" value={count(tokens)} note={`${count(stats.tokens_in)} in, ${count(stats.tokens_out)} out`} />
        <Figure name="Cost" value={cost(stats.cost_usd)} note={stats.cost_usd === null ? 'not reported' : `${cost(stats.cost_usd / stats.traces)} a trace`} />
      </Figures>
      <div className="grid gap-4 lg:grid-cols-2">
        <TracesChart title="Traces" buckets={buckets} />
        <FailuresChart title="Failures found" buckets={buckets} points={stats.failures_over_time} />
        <Chart title="Mean latency" buckets={buckets} values={(p) => [p.latency_ms]} series={[{ name: '', colour: 'var(--agent-2)' }]} format={(ms) => duration(ms * 1000)} />
        <Chart
          title={priced ? 'Cost' : 'Tokens'}
          buckets={buckets}
          values={(p) => [priced ? (p.cost_usd ?? 0) : p.tokens]}
          series={[{ name: '', colour: 'var(--agent-4)' }]}
          format={priced ? cost : count}
        />
      </div>
      <div className="grid gap-4 lg:grid-cols-2">
        <Card title="What goes wrong" aside={stats.failure_modes.length ? 'not counting what was rejected' : undefined}>
          {stats.failure_modes.length ? (
            <FailureModes modes={stats.failure_modes.map((m) => ({ ...m, note: title(m.category), places: `in ${plural(m.traces, 'trace')}` }))} />
          ) : (
            <p className="text-muted">No failure was found in this period.</p>
          )}
        </Card>
        <FailuresBy stats={stats} />
        <Card title="Agents" aside={<Link to="/agents" className="text-accent hover:underline">All agents</Link>} flush>
          <Table
            label="Agents"
            rows={stats.agents}
            keyOf={(a) => a.agent}
            initial="Time a trace"
            most={8}
            columns={[
              { name: 'Agent', value: (a) => a.agent, cell: (a) => <AgentName name={a.agent} /> },
              { name: 'Time a trace', numeric: true, value: (a) => a.busy_ms / a.traces, cell: (a) => duration((a.busy_ms / a.traces) * 1000) },
              priced
                ? { name: 'Cost', numeric: true, value: (a) => a.cost_usd ?? 0, cell: (a) => cost(a.cost_usd) }
                : { name: 'Tokens', numeric: true, value: (a) => a.tokens_in + a.tokens_out, cell: (a) => count(a.tokens_in + a.tokens_out) },
              { name: 'Failures', numeric: true, value: (a) => a.failures, cell: (a) => <Warned value={a.failures} text={count(a.failures)} /> },
              { name: 'Traces', numeric: true, value: (a) => a.traces, cell: (a) => count(a.traces) },
            ]}
          />
        </Card>
        <Card title="Models" flush>
          {stats.models.length ? (
            <Table
              label="Models"
              rows={stats.models}
              keyOf={(m) => m.model}
              columns={[
                { name: 'Model', cell: (m) => <span className="font-medium">{m.model}</span> },
                { name: 'Calls', numeric: true, value: (m) => m.calls, cell: (m) => count(m.calls) },
                { name: 'Errors', numeric: true, value: (m) => m.errors, cell: (m) => <Warned value={m.errors} text={count(m.errors)} /> },
                { name: 'Failures', numeric: true, value: (m) => m.failures, cell: (m) => <Warned value={m.failures} text={count(m.failures)} /> },
                { name: 'Tokens', numeric: true, value: (m) => m.tokens_in + m.tokens_out, cell: (m) => count(m.tokens_in + m.tokens_out) },
                { name: 'Cost', numeric: true, value: (m) => m.cost_usd ?? 0, cell: (m) => cost(m.cost_usd) },
              ]}
            />
          ) : (
            <p className="px-4 pb-3 text-muted">No model call names its model.</p>
          )}
        </Card>
        <Card title="Frameworks" flush>
          <Table
            label="Frameworks"
            rows={stats.frameworks}
            keyOf={(f) => f.framework}
            columns={[
              { name: 'Framework', cell: (f) => <Link className="font-medium hover:text-accent" to={`/traces?framework=${encodeURIComponent(f.framework)}`}>{f.framework}</Link> },
              { name: 'Traces', numeric: true, value: (f) => f.traces, cell: (f) => count(f.traces) },
              { name: 'Errors', numeric: true, value: (f) => f.errors, cell: (f) => <Warned value={f.errors} text={count(f.errors)} /> },
              { name: 'Failures', numeric: true, value: (f) => f.failures, cell: (f) => <Warned value={f.failures} text={count(f.failures)} /> },
            ]}
          />
        </Card>
      </div>
    </>
  )
}

function percent(part: number, of: number): string {
  const value = of ? (100 * part) / of : 0
  return value > 0 && value < 1 ? value.toFixed(1) : String(Math.round(value))
}
