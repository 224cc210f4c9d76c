/** How runs have gone over time: volume, failures, latency, tokens, cost, and who they belong to. */
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { useStats } from '@/api/queries'
import type { Stats } from '@/api/types'
import { fillBuckets } from '@/shared/buckets'
import { codeOf, filterOf, nameOf, title } from '@/shared/failureNames'
import { cost, count, duration, plural } from '@/shared/format'
import { nameColour } from '@/shared/palette'
import { PERIODS, usePeriod } from '@/shared/period'
import { Avatar, Select, SkeletonLines } from '@/shared/ui/basics'
import { Bars } from '@/shared/ui/Bars'
import { Card, Page } from '@/shared/ui/Page'
import { EmptyState, ErrorState } from '@/shared/ui/states'
import { Table } from '@/shared/ui/Table'
import { FailuresBy } from './FailuresBy'
import { failuresOverTime } from './failuresOverTime'

const FAILURE_COLOURS = ['var(--warn)', 'var(--danger)', 'var(--agent-2)', 'var(--agent-4)']

export function DashboardPage() {
  const { period, setPeriod, since } = usePeriod('7d')
  const stats = useStats(since)
  return (
    <Page title="Dashboard" lead="How the runs have gone" controls={<Select label="Period" any="All time" value={period} options={PERIODS} onChange={setPeriod} />}>
      {stats.data ? (
        stats.data.traces ? (
          <Figures stats={stats.data} since={since} until={stats.dataUpdatedAt} />
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

function Figures({ stats, since, until }: { stats: Stats; since: string | undefined; until: number }) {
  const buckets = fillBuckets(stats.over_time, stats.bucket_seconds, since ? Date.parse(since) : null, until)
  const over = (pick: (point: Stats['over_time'][number]) => number[], none: number[]) =>
    buckets.map(({ startMs, point }) => ({ label: new Date(startMs).toLocaleString(), values: point ? pick(point) : none }))
  const failures = failuresOverTime(stats.failures_over_time)
  const tokens = stats.tokens_in + stats.tokens_out
  const latency = (ms: number | null) => (ms === null ? '–' : duration(ms * 1000))
  return (
    <>
      <dl className="grid grid-cols-2 gap-3 sm:grid-cols-3 lg:grid-cols-6">
        <Figure name="Traces" value={count(stats.traces)} note={stats.running ? `${count(stats.running)} running` : `${count(stats.spans)} spans`} />
        <Figure name="With errors" value={`${percent(stats.errors, stats.traces)} %`} note={`${count(stats.errors)} traces`} />
        <Figure name="Failures found" value={count(stats.failures)} note={`${(stats.failures / stats.traces).toFixed(1)} a trace`} />
        <Figure name="Median latency" value={latency(stats.latency_ms.p50)} note={`p95 ${latency(stats.latency_ms.p95)}`} />
        <Figure name="Tokens" value={count(tokens)} note={`${count(stats.tokens_in)} in, ${count(stats.tokens_out)} out`} />
        <Figure name="Cost" value={cost(stats.cost_usd)} note={stats.cost_usd === null ? 'not reported' : `${cost(stats.cost_usd / stats.traces)} a trace`} />
      </dl>
      <div className="grid gap-4 lg:grid-cols-2">
        <Card title="Traces">
          <Bars title="Traces over time" height={92} scale bars={over((p) => [p.errors, p.traces - p.errors], [0, 0])} colours={['var(--danger)', 'var(--accent-strong)']} names={['with an error', 'fine']} />
          <Axis buckets={buckets} />
          <Key items={[['var(--accent-strong)', 'fine'], ['var(--danger)', 'with an error']]} />
        </Card>
        <Card title="Failures found">
          <Bars title="Failures over time" height={92} scale bars={over((p) => failures.at(p.time), failures.names.map(() => 0))} colours={FAILURE_COLOURS} names={failures.names} />
          <Axis buckets={buckets} />
          <Key items={failures.names.map((name, i) => [FAILURE_COLOURS[i] ?? '', name] as const)} />
        </Card>
        <Card title="Mean latency">
          <Bars title="Latency over time" height={92} scale bars={over((p) => [p.latency_ms], [0])} colours={['var(--agent-2)']} names={['']} format={(ms) => duration(ms * 1000)} />
          <Axis buckets={buckets} />
        </Card>
        <Card title={stats.cost_usd === null ? 'Tokens' : 'Cost'}>
          <Bars
            title={stats.cost_usd === null ? 'Tokens over time' : 'Cost over time'}
            height={92}
            scale
            bars={over((p) => [stats.cost_usd === null ? p.tokens : (p.cost_usd ?? 0)], [0])}
            colours={['var(--agent-4)']}
            names={['']}
            format={stats.cost_usd === null ? count : cost}
          />
          <Axis buckets={buckets} />
        </Card>
      </div>
      <div className="grid gap-4 lg:grid-cols-2">
        <Card title="What goes wrong" aside={stats.failure_modes.length ? 'not counting what was rejected' : undefined}>
          {stats.failure_modes.length ? <Modes modes={stats.failure_modes} /> : <p className="text-muted">No failure was found in this period.</p>}
        </Card>
        <FailuresBy stats={stats} />
        <Card title="Agents" aside={<Link to="/agents" className="text-accent hover:underline">All agents</Link>} flush>
          <Table
            label="Agents"
            rows={stats.agents.slice(0, 8)}
            keyOf={(a) => a.agent}
            columns={[
              { name: 'Agent', cell: (a) => <AgentName name={a.agent} /> },
              { name: 'Traces', numeric: true, value: (a) => a.traces, cell: (a) => count(a.traces) },
              { name: 'Failures', numeric: true, value: (a) => a.failures, cell: (a) => <Warned value={a.failures} /> },
              { name: 'Tokens', numeric: true, value: (a) => a.tokens_in + a.tokens_out, cell: (a) => count(a.tokens_in + a.tokens_out) },
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
                { name: 'Errors', numeric: true, value: (m) => m.errors, cell: (m) => <Warned value={m.errors} /> },
                { name: 'Failures', numeric: true, value: (m) => m.failures, cell: (m) => <Warned value={m.failures} /> },
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
              { name: 'Errors', numeric: true, value: (f) => f.errors, cell: (f) => <Warned value={f.errors} /> },
              { name: 'Failures', numeric: true, value: (f) => f.failures, cell: (f) => <Warned value={f.failures} /> },
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

function Figure({ name, value, note }: { name: string; value: string; note: string }) {
  return (
    <div className="rounded-xl border border-line bg-panel px-4 py-3">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="tabular mt-0.5">
        <span className="block text-lg leading-7 font-semibold">{value}</span>
        <span className="block truncate text-2xs text-faint">{note}</span>
      </dd>
    </div>
  )
}

function Key({ items }: { items: readonly (readonly [string, string])[] }) {
  return (
    <div className="mt-2 flex flex-wrap gap-x-4 gap-y-1">
      {items.map(([colour, name]) => (
        <span key={name} className="flex items-center gap-1.5 text-2xs">
          <span aria-hidden className="size-2 shrink-0 rounded-sm" style={{ background: colour }} />
          {name}
        </span>
      ))}
    </div>
  )
}

function Axis({ buckets }: { buckets: readonly { startMs: number }[] }) {
  const first = buckets[0]?.startMs
  const last = buckets[buckets.length - 1]?.startMs
  if (first === undefined || last === undefined) return null
  const day = last - first > 36 * 3600_000
  const show = (ms: number) => (day ? new Date(ms).toLocaleDateString(undefined, { day: 'numeric', month: 'short' }) : new Date(ms).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' }))
  return (
    <div className="tabular mt-1 flex justify-between text-2xs text-faint">
      <span>{show(first)}</span>
      <span>{show(last)}</span>
    </div>
  )
}

function Modes({ modes }: { modes: Stats['failure_modes'] }) {
  const most = Math.max(...modes.map((m) => m.count))
  return (
    <ul className="flex flex-col gap-0.5">
      {modes.slice(0, 12).map((mode) => (
        <li key={`${mode.mode}/${mode.category}/${mode.subcategory}`}>
          <Link to={`/traces?failure=${encodeURIComponent(filterOf(mode))}`} className="group flex flex-col gap-1 rounded-md px-2 py-1.5 -mx-2 hover:bg-hover">
            <span className="flex items-baseline gap-2 text-xs">
              {codeOf(mode) && <span className="font-mono text-2xs text-muted">{mode.mode}</span>}
              <span className="truncate font-medium">{nameOf(mode)}</span>
              <span className="truncate text-2xs text-faint">{title(mode.category)}</span>
              <span className="tabular ml-auto shrink-0">
                {count(mode.count)} <span className="text-faint">in {plural(mode.traces, 'trace')}</span>
              </span>
            </span>
            <span aria-hidden className="h-1 overflow-hidden rounded-full bg-neutral-soft">
              <span className="block h-full rounded-full bg-warn" style={{ width: `${String((100 * mode.count) / most)}%` }} />
            </span>
          </Link>
        </li>
      ))}
    </ul>
  )
}

function AgentName({ name }: { name: string }) {
  return (
    <Link to={`/traces?agent=${encodeURIComponent(name)}`} className="flex max-w-52 min-w-0 items-center gap-2 font-medium hover:text-accent" title={name}>
      <Avatar name={name} colour={nameColour(name)} />
      <span className="truncate">{name}</span>
    </Link>
  )
}

function Warned({ value }: { value: number }): ReactNode {
  return value ? <span className="text-warn">{count(value)}</span> : <span className="text-faint">–</span>
}
