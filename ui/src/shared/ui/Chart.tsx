/** Bars over time in a card: the first and last moment under them, and what the colours mean. */
import type { Bar } from './Bars'
import { Bars } from './Bars'
import { Card } from './Page'

interface Series {
  name: string
  colour: string
}

export function Chart<T>({
  title,
  buckets,
  values,
  series,
  format,
}: {
  title: string
  buckets: readonly { startMs: number; point: T | null }[]
  /** Of one point, a number for each of the series. */
  values: (point: T) => number[]
  series: readonly Series[]
  format?: (value: number) => string
}) {
  const bars: Bar[] = buckets.map(({ startMs, point }) => ({ label: new Date(startMs).toLocaleString(), values: point ? values(point) : series.map(() => 0) }))
  return (
    <Card title={title}>
      <Bars title={`${title} over time`} height={92} scale bars={bars} colours={series.map((s) => s.colour)} names={series.map((s) => s.name)} format={format} />
      <Axis buckets={buckets} />
      {series.length > 1 && (
        <div className="mt-2 flex flex-wrap gap-x-4 gap-y-1">
          {series.map(({ name, colour }) => (
            <span key={name} className="flex items-center gap-1.5 text-2xs">
              <span aria-hidden className="size-2 shrink-0 rounded-sm" style={{ background: colour }} />
              {name}
            </span>
          ))}
        </div>
      )}
    </Card>
  )
}

function Axis({ buckets }: { buckets: readonly { startMs: number }[] }) {
  const first = buckets[0]?.startMs
  const last = buckets[buckets.length - 1]?.startMs
  if (first === undefined || last === undefined) return null
  const day = last - first > 36 * 3600_000
  const year = new Date(first).getFullYear() === new Date(last).getFullYear() ? undefined : 'numeric'
  const show = (ms: number) => (day ? new Date(ms).toLocaleDateString(undefined, { day: 'numeric', month: 'short', year }) : new Date(ms).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' }))
  return (
    <div className="tabular mt-1 flex justify-between text-2xs text-faint">
      <span>{show(first)}</span>
      <span>{show(last)}</span>
    </div>
  )
}
