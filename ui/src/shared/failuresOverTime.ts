/** Which kinds of failure were found when: the commonest by name, all others together. */
import { nameOf } from '@/shared/failureNames'

const NAMED = 3
const OTHERS = 'others'

export interface FailurePoint {
  time: string
  mode: string
  subcategory: string
  count: number
}

export interface FailuresOverTime {
  names: readonly string[]
  /** How often each of `names` was found in the bucket that starts then. */
  at: (time: string) => number[]
}

export function failuresOverTime(points: readonly FailurePoint[]): FailuresOverTime {
  const totals = new Map<string, number>()
  for (const point of points) totals.set(nameOf(point), (totals.get(nameOf(point)) ?? 0) + point.count)
  const ranked = [...totals].sort(([a, n], [b, m]) => m - n || a.localeCompare(b)).map(([name]) => name)
  const names = ranked.length > NAMED + 1 ? [...ranked.slice(0, NAMED), OTHERS] : ranked
  const counts = new Map<string, number[]>()
  for (const point of points) {
    const values = counts.get(point.time) ?? names.map(() => 0)
    const place = names.indexOf(nameOf(point))
    const part = place < 0 ? names.length - 1 : place
    values[part] = (values[part] ?? 0) + point.count
    counts.set(point.time, values)
  }
  return { names, at: (time) => counts.get(time) ?? names.map(() => 0) }
}
