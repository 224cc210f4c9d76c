/** Several what-ifs from one checkpoint, and what came of each. */
import { Link, useParams } from 'react-router'
import { useExperiment } from '@/api/replays'
import type { ExperimentResult, Outcome } from '@/api/types'
import { Content } from '@/shared/content/Content'
import { title } from '@/shared/failureNames'
import { cost, count, duration } from '@/shared/format'
import { Badge, SkeletonLines } from '@/shared/ui/basics'
import { Card, Page } from '@/shared/ui/Page'
import { ErrorState } from '@/shared/ui/states'
import type { TableColumn } from '@/shared/ui/Table'
import { Table } from '@/shared/ui/Table'
import { ReplayStatus } from './pieces'

export function ExperimentPage() {
  const { experimentId = '' } = useParams()
  const experiment = useExperiment(experimentId)
  if (experiment.data) return <Loaded experiment={experiment.data} />
  if (experiment.error) return <ErrorState title="The experiment cannot be shown" detail={experiment.error.message} retry={() => void experiment.refetch()} />
  return <SkeletonLines lines={10} label="Loading the experiment" />
}

const COLUMNS: readonly TableColumn<Outcome>[] = [
  {
    name: 'Variant',
    cell: (o) => (
      <Link to={`/replays/${o.replay.replay_id}`} className="font-medium whitespace-nowrap hover:text-accent">
        {o.replay.label || o.replay.replay_id.slice(0, 8)}
      </Link>
    ),
  },
  { name: 'Status', value: (o) => o.replay.status, cell: (o) => <ReplayStatus status={o.replay.status} /> },
  {
    name: 'Output',
    cell: (o) => (
      <div className="flex max-w-xl min-w-64 items-start gap-2 py-1.5">
        {o.same_output !== null && <Badge tone={o.same_output ? 'neutral' : 'warn'}>{o.same_output ? 'same' : 'different'}</Badge>}
        <div className="min-w-0">{o.output ?? o.replay.error ?? <span className="text-faint">–</span>}</div>
      </div>
    ),
  },
  { name: 'Failures', numeric: true, value: (o) => o.failure_count ?? -1, cell: (o) => <span title={o.failures?.map(title).join(', ')}>{o.failure_count ?? '–'}</span> },
  { name: 'Live calls', numeric: true, value: (o) => o.replay.counts.live, cell: (o) => o.replay.counts.live },
  { name: 'Tokens', numeric: true, value: (o) => (o.tokens_in ?? 0) + (o.tokens_out ?? 0), cell: (o) => (o.tokens_in === null ? '–' : count(o.tokens_in + (o.tokens_out ?? 0))) },
  { name: 'Cost', numeric: true, value: (o) => o.cost_usd ?? 0, cell: (o) => cost(o.cost_usd) },
  { name: 'Took', numeric: true, value: (o) => o.duration_ms ?? 0, cell: (o) => (o.duration_ms === null ? '–' : duration(o.duration_ms * 1000)) },
]

function Loaded({ experiment }: { experiment: ExperimentResult }) {
  const { baseline } = experiment
  return (
    <Page
      title={`Experiment: ${experiment.name}`}
      lead={
        <>
          {experiment.done} of {experiment.total} done, from{' '}
          <Link to={`/traces/${experiment.source_trace_id}`} className="text-accent underline">
            trace {experiment.source_trace_id.slice(0, 8)}
          </Link>
        </>
      }
    >
      <progress aria-label="Done" className="h-1.5 w-full" value={experiment.done} max={experiment.total} />
      {baseline && (
        <Card title="The original run" aside={`${count(baseline.failure_count)} failures · ${count(baseline.tokens_in + baseline.tokens_out)} tokens · ${cost(baseline.cost_usd)}`}>
          <Content text={baseline.output} fold={160} />
        </Card>
      )}
      <Card title="What came of it" flush>
        <Table label="Outcomes" rows={experiment.outcomes} columns={COLUMNS} keyOf={(o) => o.replay.replay_id} />
      </Card>
    </Page>
  )
}
