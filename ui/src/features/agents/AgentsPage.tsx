/** Every agent across traces: how often it ran, how long it worked, what it cost, how often it failed. */
import { Search } from 'lucide-react'
import { useDeferredValue, useMemo, useState } from 'react'
import { useSearchParams } from 'react-router'
import { useStats } from '@/api/queries'
import { cost, count, duration, plural } from '@/shared/format'
import { PERIODS, usePeriod } from '@/shared/period'
import { AgentName } from '@/shared/ui/AgentName'
import { Select, SkeletonLines } from '@/shared/ui/basics'
import { Warned } from '@/shared/ui/Figure'
import { Card, Page } from '@/shared/ui/Page'
import { EmptyState, ErrorState } from '@/shared/ui/states'
import { Table } from '@/shared/ui/Table'
import { AgentPage } from './AgentPage'

/** The server adds up at most this many agents. */
const MOST = 100

/** A name may hold anything, dots and slashes too: it stands behind the question mark. */
export function AgentsPage() {
  const name = useSearchParams()[0].get('name')
  return name === null ? <AllAgents /> : <AgentPage key={name} name={name} />
}

function AllAgents() {
  const { period, setPeriod, since } = usePeriod('30d')
  const stats = useStats({ since })
  const [text, setText] = useState('')
  const wanted = useDeferredValue(text.trim().toLowerCase())
  const agents = stats.data?.agents
  const rows = useMemo(() => (agents ?? []).filter((a) => a.agent.toLowerCase().includes(wanted)), [agents, wanted])
  return (
    <Page
      title="Agents"
      lead={agents ? (agents.length >= MOST ? `The ${String(MOST)} that ran most often` : plural(agents.length, 'agent')) : ' '}
      controls={
        <>
          <span className="relative">
            <Search aria-hidden className="pointer-events-none absolute top-1.5 left-2 size-4 text-faint" />
            <input
              type="search"
              aria-label="Find an agent"
              placeholder="Find an agent"
              value={text}
              onChange={(e) => { setText(e.target.value) }}
              className="h-7 w-44 rounded-md border border-line bg-panel pr-2 pl-8 placeholder:text-faint"
            />
          </span>
          <Select label="Period" any="All time" value={period} options={PERIODS} onChange={setPeriod} />
        </>
      }
    >
      {stats.error && !stats.data ? (
        <ErrorState title="The agents cannot be shown" detail={stats.error.message} retry={() => void stats.refetch()} />
      ) : !stats.data ? (
        <SkeletonLines lines={12} label="Loading agents" />
      ) : rows.length === 0 ? (
        <EmptyState title={wanted ? 'No agent has this in its name' : 'No agent ran in this period'} />
      ) : (
        <Card title="Across all traces of the period" flush>
          <Table
            label="Agents"
            rows={rows}
            keyOf={(a) => a.agent}
            initial="Traces"
            columns={[
              {
                name: 'Agent',
                value: (a) => a.agent,
                cell: (a) => <AgentName name={a.agent} />,
              },
              { name: 'Traces', numeric: true, value: (a) => a.traces, cell: (a) => count(a.traces) },
              { name: 'Spans', numeric: true, value: (a) => a.spans, cell: (a) => count(a.spans) },
              { name: 'Errors', numeric: true, value: (a) => a.errors, cell: (a) => (a.errors ? <span className="text-danger">{count(a.errors)}</span> : <span className="text-faint">–</span>) },
              { name: 'Failures', numeric: true, value: (a) => a.failures, cell: (a) => <Warned value={a.failures} text={count(a.failures)} /> },
              { name: 'Failures a trace', numeric: true, value: (a) => a.failures / Math.max(1, a.traces), cell: (a) => (a.failures / Math.max(1, a.traces)).toFixed(2) },
              { name: 'Time a trace', numeric: true, value: (a) => a.busy_ms / a.traces, cell: (a) => duration((a.busy_ms / a.traces) * 1000) },
              { name: 'Tokens', numeric: true, value: (a) => a.tokens_in + a.tokens_out, cell: (a) => count(a.tokens_in + a.tokens_out) },
              { name: 'Cost', numeric: true, value: (a) => a.cost_usd ?? 0, cell: (a) => cost(a.cost_usd) },
            ]}
          />
        </Card>
      )}
    </Page>
  )
}
