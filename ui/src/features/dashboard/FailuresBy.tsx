/** Which failures whose: by agent, framework or model, the most frequent pairs first. */
import { useState } from 'react'
import { Link } from 'react-router'
import type { Stats } from '@/api/types'
import { filterOf, nameOf } from '@/shared/failureNames'
import { count } from '@/shared/format'
import { Segments } from '@/shared/ui/basics'
import { AgentName } from '@/shared/ui/AgentName'
import { Card } from '@/shared/ui/Page'
import { Table } from '@/shared/ui/Table'

type By = 'agent' | 'framework' | 'model'

const CHOICES: readonly { value: By; label: string }[] = [
  { value: 'agent', label: 'Agent' },
  { value: 'framework', label: 'Framework' },
  { value: 'model', label: 'Model' },
]
const SHOWN = 12

export function FailuresBy({ stats }: { stats: Stats }) {
  const [by, setBy] = useState<By>('agent')
  const rows = { agent: stats.failures_by_agent, framework: stats.failures_by_framework, model: stats.failures_by_model }[by].slice(0, SHOWN)
  return (
    <Card title="Failures by" aside={<Segments label="Failures by" value={by} options={CHOICES} onChange={setBy} />} flush>
      {rows.length ? (
        <Table
          label="Failures by"
          rows={rows}
          keyOf={(row) => `${row.name}/${row.mode}/${row.subcategory}`}
          columns={[
            { name: CHOICES.find((choice) => choice.value === by)?.label ?? '', value: (row) => row.name, cell: (row) => (by === 'agent' ? <AgentName name={row.name} /> : <span className="block max-w-48 truncate font-medium">{row.name}</span>) },
            {
              name: 'Failure',
              value: (row) => nameOf(row),
              cell: (row) => (
                <Link className="hover:text-accent" to={`/traces?failure=${encodeURIComponent(filterOf(row))}`}>
                  {nameOf(row)}
                </Link>
              ),
            },
            { name: 'Found', numeric: true, value: (row) => row.count, cell: (row) => count(row.count) },
          ]}
        />
      ) : (
        <p className="px-4 pb-3 text-muted">No failure of a known {by} in this period.</p>
      )}
    </Card>
  )
}
