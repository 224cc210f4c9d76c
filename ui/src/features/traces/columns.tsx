/** The columns of the trace list: which there are, how each is read. */
import { TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import type { TraceSummary } from '@/api/types'
import { cost, count, duration, plural } from '@/shared/format'
import { agentColour } from '@/shared/palette'
import { Avatar, Badge } from '@/shared/ui/basics'
import { When } from '@/shared/ui/When'

export interface Column {
  key: string
  label: string
  /** The server's name for its order, where it has one. */
  sort?: string
  numeric?: boolean
  /** Tailwind classes that hide it where it does not fit. */
  from?: string
  cell: (trace: TraceSummary) => ReactNode
}

const SHOWN_AGENTS = 5

function Agents({ names }: { names: readonly string[] }) {
  if (!names.length) return <span className="text-faint">–</span>
  return (
    <span className="flex items-center gap-1" title={names.join(', ')}>
      {names.slice(0, SHOWN_AGENTS).map((name, i) => (
        <Avatar key={name} name={name} colour={agentColour(i)} />
      ))}
      {names.length > SHOWN_AGENTS && <span className="text-2xs text-muted">+{names.length - SHOWN_AGENTS}</span>}
      <span className="sr-only">{names.join(', ')}</span>
    </span>
  )
}

function number(value: number): ReactNode {
  return value ? count(value) : <span className="text-faint">–</span>
}

export const COLUMNS: readonly Column[] = [
  {
    key: 'service',
    label: 'Service',
    from: 'hidden lg:table-cell',
    cell: (t) => <span className="block max-w-40 truncate text-muted" title={t.service_name}>{t.service_name}</span>,
  },
  {
    key: 'framework',
    label: 'Framework',
    from: 'hidden xl:table-cell',
    cell: (t) => (
      <span className="flex gap-1">
        {t.frameworks.map((f) => (
          <Badge key={f}>{f}</Badge>
        ))}
      </span>
    ),
  },
  { key: 'agents', label: 'Agents', from: 'hidden md:table-cell', cell: (t) => <Agents names={t.agents} /> },
  {
    key: 'failures',
    label: 'Failures',
    sort: 'failures',
    numeric: true,
    cell: (t) =>
      t.failure_count ? (
        <Badge tone="warn" title={plural(t.failure_count, 'failure')}>
          <TriangleAlert aria-hidden className="size-3" />
          {count(t.failure_count)}
        </Badge>
      ) : t.analysed ? (
        <span className="text-faint">–</span>
      ) : (
        <span className="text-faint" title="Not analysed yet">
          …
        </span>
      ),
  },
  { key: 'messages', label: 'Messages', sort: 'messages', numeric: true, from: 'hidden lg:table-cell', cell: (t) => number(t.message_count) },
  {
    key: 'spans',
    label: 'Spans',
    sort: 'spans',
    numeric: true,
    from: 'hidden md:table-cell',
    cell: (t) => (
      <span title={t.error_count ? plural(t.error_count, 'span with an error', 'spans with an error') : undefined}>
        {count(t.span_count)}
        {t.error_count > 0 && <span className="text-danger"> · {count(t.error_count)}</span>}
      </span>
    ),
  },
  {
    key: 'tokens',
    label: 'Tokens',
    sort: 'tokens',
    numeric: true,
    from: 'hidden lg:table-cell',
    cell: (t) => <span title={`${String(t.tokens_in)} in, ${String(t.tokens_out)} out`}>{number(t.tokens_in + t.tokens_out)}</span>,
  },
  { key: 'cost', label: 'Cost', sort: 'cost', numeric: true, from: 'hidden xl:table-cell', cell: (t) => (t.cost_usd === null ? <span className="text-faint">–</span> : cost(t.cost_usd)) },
  { key: 'duration', label: 'Duration', sort: 'duration', numeric: true, from: 'hidden sm:table-cell', cell: (t) => duration(t.duration_ms * 1000) },
  {
    key: 'start',
    label: 'Started',
    sort: 'start',
    numeric: true,
    cell: (t) => <When at={t.start_time} className="text-muted" />,
  },
]
