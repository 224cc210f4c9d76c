/** How runs have gone: how many came in and how many failed, and what was found in them. */
import type { FailurePoint } from '@/shared/failuresOverTime'
import { failuresOverTime } from '@/shared/failuresOverTime'
import { Chart } from './Chart'

interface RunPoint {
  time: string
  traces: number
  errors: number
}

type Buckets = readonly { startMs: number; point: RunPoint | null }[]

const OUTCOMES = [
  { name: 'with an error', colour: 'var(--danger)' },
  { name: 'fine', colour: 'var(--accent-strong)' },
]
const FAILURE_COLOURS = ['var(--warn)', 'var(--danger)', 'var(--agent-2)', 'var(--agent-4)']

export function TracesChart({ title, buckets }: { title: string; buckets: Buckets }) {
  return <Chart title={title} buckets={buckets} values={(p) => [p.errors, p.traces - p.errors]} series={OUTCOMES} />
}

export function FailuresChart({ title, buckets, points }: { title: string; buckets: Buckets; points: readonly FailurePoint[] }) {
  const failures = failuresOverTime(points)
  const series = failures.names.map((name, i) => ({ name, colour: FAILURE_COLOURS[i] ?? '' }))
  return <Chart title={title} buckets={buckets} values={(p) => failures.at(p.time)} series={series} />
}
