/** Every replay, newest first; those of one trace if the address names it. */
import { Link, useSearchParams } from 'react-router'
import { useReplays, useWorkers } from '@/api/replays'
import type { Replay } from '@/api/types'
import { ago, duration, plural } from '@/shared/format'
import { micros } from '@/shared/time'
import { SkeletonLines } from '@/shared/ui/basics'
import { Card, Page } from '@/shared/ui/Page'
import { EmptyState, ErrorState } from '@/shared/ui/states'
import type { TableColumn } from '@/shared/ui/Table'
import { Table } from '@/shared/ui/Table'
import { ReplayStatus } from './pieces'

const COLUMNS: readonly TableColumn<Replay>[] = [
  {
    name: 'Replay',
    cell: (r) => (
      <Link to={`/replays/${r.replay_id}`} className="font-medium hover:text-accent">
        {r.label || r.replay_id.slice(0, 8)}
      </Link>
    ),
  },
  { name: 'Status', value: (r) => r.status, cell: (r) => <ReplayStatus status={r.status} /> },
  {
    name: 'Of',
    value: (r) => r.source_trace_id,
    cell: (r) => (
      <Link to={`/traces/${r.source_trace_id}`} className="font-mono text-2xs hover:text-accent">
        {r.source_trace_id.slice(0, 8)}
      </Link>
    ),
  },
  { name: 'Edits', numeric: true, value: (r) => r.edits.length, cell: (r) => r.edits.length },
  { name: 'Recorded', numeric: true, value: (r) => r.counts.recorded, cell: (r) => r.counts.recorded },
  { name: 'Live', numeric: true, value: (r) => r.counts.live, cell: (r) => r.counts.live },
  { name: 'Took', numeric: true, value: (r) => r.duration_ms ?? 0, cell: (r) => (r.duration_ms === null ? '–' : duration(r.duration_ms * 1000)) },
  { name: 'Started', numeric: true, value: (r) => micros(r.created_at), cell: (r) => ago(micros(r.created_at) / 1000) },
]

export function ReplaysPage() {
  const [params] = useSearchParams()
  const replays = useReplays(params.get('trace') ?? undefined)
  const workers = useWorkers()
  return (
    <Page title="Replays" lead={workers.data ? (workers.data.length ? `${plural(workers.data.length, 'worker')} connected` : 'No worker is connected') : ' '}>
      {replays.error && !replays.data ? (
        <ErrorState title="The replays cannot be shown" detail={replays.error.message} retry={() => void replays.refetch()} />
      ) : !replays.data ? (
        <SkeletonLines lines={10} label="Loading replays" />
      ) : !replays.data.length ? (
        <EmptyState title="Nothing has been replayed yet">
          <p>Open a trace, choose a message or a failure, and press “Replay from before this”. What you change there is tried out from that moment on.</p>
        </EmptyState>
      ) : (
        <Card title="Newest first" flush>
          <Table label="Replays" rows={replays.data} columns={COLUMNS} keyOf={(r) => r.replay_id} />
        </Card>
      )}
      <Card title="Workers" flush>
        {workers.data?.length ? (
          <ul className="flex flex-col gap-1 px-4 pb-3 text-xs">
            {workers.data.map((worker) => (
              <li key={worker.worker_id} className="flex flex-wrap gap-x-3">
                <span className="font-medium">{worker.name || worker.worker_id.slice(0, 8)}</span>
                <span className="text-muted">{worker.targets.map((t) => (t.framework ? `${t.name} (${t.framework})` : t.name)).join(', ') || 'nothing replayable'}</span>
              </li>
            ))}
          </ul>
        ) : (
          <p className="px-4 pb-3 text-muted">
            A worker runs replays where your application lives: <code className="font-mono text-xs">agenttrace worker MODULE</code>
          </p>
        )}
      </Card>
    </Page>
  )
}
