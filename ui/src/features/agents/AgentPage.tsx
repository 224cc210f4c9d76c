/** One agent across traces: how often it ran, how long it worked, what went wrong with it, and where. */
import { useState } from 'react'
import { Link } from 'react-router'
import { useStats, useTraces } from '@/api/queries'
import type { Stats, TraceQuery } from '@/api/types'
import { fillBuckets } from '@/shared/buckets'
import { cost, count, duration, nameParts, plural } from '@/shared/format'
import { nameColour } from '@/shared/palette'
import { PERIODS, usePeriod } from '@/shared/period'
import { AgentName } from '@/shared/ui/AgentName'
import { Avatar, linkLook, Segments, Select, SkeletonLines } from '@/shared/ui/basics'
import { FailureModes } from '@/shared/ui/FailureModes'
import { Figure, Figures, Warned } from '@/shared/ui/Figure'
import { Card, Page } from '@/shared/ui/Page'
import { FailuresChart, TracesChart } from '@/shared/ui/RunCharts'
import { EmptyState, ErrorState } from '@/shared/ui/states'
import { StatusIcon } from '@/shared/ui/status'
import { Table } from '@/shared/ui/Table'
import { When } from '@/shared/ui/When'

type Order = NonNullable<TraceQuery['sort']>

const ORDERS: readonly { value: Order; label: string }[] = [
  { value: '-start', label: 'Latest' },
  { value: '-duration', label: 'Slowest' },
  { value: '-failures', label: 'Most failures' },
  { value: '-cost', label: 'Most expensive' },
]

export function AgentPage({ name }: { name: string }) {
  const { period, setPeriod, since } = usePeriod('30d')
  const stats = useStats({ agent: name, since })
  return (
    <Page
      title={name}
      lead={
        <span className="flex items-center gap-2">
          <Avatar name={name} colour={nameColour(name)} /> An agent across traces
        </span>
      }
      controls={
        <>
          <Link to={`/traces?${new URLSearchParams({ agent: name, ...(period ? { since: period } : {}) }).toString()}`} className={linkLook()}>
            Its traces
          </Link>
          <Link to="/agents" className={linkLook()}>
            All agents
          </Link>
          <Select label="Period" any="All time" value={period} options={PERIODS} onChange={setPeriod} />
        </>
      }
    >
      {stats.error && !stats.data ? (
        <ErrorState title="The agent cannot be shown" detail={stats.error.message} retry={() => void stats.refetch()} />
      ) : !stats.data ? (
        <SkeletonLines lines={12} label="Loading the agent" />
      ) : stats.data.traces === 0 ? (
        <EmptyState title="It did not run in this period">
          <p>Choose a longer one. Names count letter for letter.</p>
        </EmptyState>
      ) : (
        <Overview name={name} stats={stats.data} since={since} until={stats.dataUpdatedAt} />
      )}
    </Page>
  )
}

function Overview({ name, stats, since, until }: { name: string; stats: Stats; since: string | undefined; until: number }) {
  const own = stats.agents.find((a) => a.agent === name)
  const buckets = fillBuckets(stats.over_time, stats.bucket_seconds, since ? Date.parse(since) : null, until)
  const modes = stats.failures_by_agent.filter((share) => share.name === name)
  const others = stats.agents.filter((a) => a.agent !== name)
  const a = (value: number) => value / Math.max(1, stats.traces)
  return (
    <>
      <Figures>
        <Figure name="Traces" value={count(stats.traces)} note={`${count(stats.errors)} with an error`} />
        {own && (
          <>
            <Figure name="Time at work" value={duration(a(own.busy_ms) * 1000)} note={`a trace · ${duration(own.busy_ms * 1000)} in all`} />
            <Figure name="Failures" value={count(own.failures)} note={`${a(own.failures).toFixed(2)} a trace`} />
            <Figure name="Errors" value={count(own.errors)} note={`in ${plural(own.spans, 'span')}`} />
            <Figure name="Tokens" value={count(own.tokens_in + own.tokens_out)} note={`${count(own.tokens_in)} in, ${count(own.tokens_out)} out`} />
            <Figure name="Cost" value={cost(own.cost_usd)} note={own.cost_usd === null ? 'not reported' : `${cost(a(own.cost_usd))} a trace`} />
          </>
        )}
      </Figures>
      <div className="grid gap-4 lg:grid-cols-2">
        <TracesChart title="Traces it ran in" buckets={buckets} />
        <FailuresChart title="Failures found in them" buckets={buckets} points={stats.failures_over_time} />
        <Card title="What goes wrong with it">
          {modes.length ? <FailureModes modes={modes} agent={name} /> : <p className="text-muted">No failure of this agent was found in this period.</p>}
        </Card>
        <Card title="Works with" flush>
          {others.length ? (
            <Table
              label="Agents it works with"
              rows={others}
              keyOf={(other) => other.agent}
              initial="Traces"
              most={10}
              columns={[
                { name: 'Agent', value: (other) => other.agent, cell: (other) => <AgentName name={other.agent} /> },
                { name: 'Traces', numeric: true, value: (other) => other.traces, cell: (other) => count(other.traces) },
                { name: 'Failures', numeric: true, value: (other) => other.failures, cell: (other) => <Warned value={other.failures} text={count(other.failures)} /> },
              ]}
            />
          ) : (
            <p className="px-4 pb-3 text-muted">No other agent ran in its traces.</p>
          )}
        </Card>
      </div>
      <Traces name={name} since={since} />
    </>
  )
}

function Traces({ name, since }: { name: string; since: string | undefined }) {
  const [order, setOrder] = useState<Order>('-start')
  const traces = useTraces({ agent: name, since, sort: order, limit: 10 })
  return (
    <Card title="Traces" aside={<Segments label="Order" value={order} options={ORDERS} onChange={setOrder} />} flush>
      {traces.data ? (
        <Table
          label="Traces"
          rows={traces.data.items}
          keyOf={(t) => t.trace_id}
          columns={[
            {
              name: 'Trace',
              cell: (t) => (
                <span className="flex min-w-0 items-center gap-2.5">
                  <StatusIcon status={t.status} failures={t.failure_count} />
                  <Link to={`/traces/${t.trace_id}?${new URLSearchParams({ agent: name }).toString()}`} className="max-w-96 truncate font-medium hover:text-accent" title={t.name}>
                    {nameParts(t.name).rest}
                  </Link>
                </span>
              ),
            },
            { name: 'Failures', numeric: true, cell: (t) => <Warned value={t.failure_count} text={count(t.failure_count)} /> },
            { name: 'Cost', numeric: true, cell: (t) => cost(t.cost_usd) },
            { name: 'Duration', numeric: true, cell: (t) => duration(t.duration_ms * 1000) },
            { name: 'Started', numeric: true, cell: (t) => <When at={t.start_time} className="text-muted" /> },
          ]}
        />
      ) : traces.error ? (
        <ErrorState title="Its traces cannot be shown" detail={traces.error.message} retry={() => void traces.refetch()} />
      ) : (
        <SkeletonLines lines={5} label="Loading its traces" />
      )}
    </Card>
  )
}
