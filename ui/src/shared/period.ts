/** A stretch of time up to now, chosen by name. */
import { useState } from 'react'

export const PERIODS = [
  { value: '15m', label: 'Last 15 minutes', minutes: 15 },
  { value: '1h', label: 'Last hour', minutes: 60 },
  { value: '24h', label: 'Last 24 hours', minutes: 24 * 60 },
  { value: '7d', label: 'Last 7 days', minutes: 7 * 24 * 60 },
  { value: '30d', label: 'Last 30 days', minutes: 30 * 24 * 60 },
] as const

/** A period's name becomes a moment, cut to the minute so that the same minute asks the same question. */
export function sinceOf(value: string | null, now: number): string | undefined {
  if (!value) return undefined
  const period = PERIODS.find((p) => p.value === value)
  if (!period) return value
  return new Date(Math.floor(now / 60_000) * 60_000 - period.minutes * 60_000).toISOString()
}

/** The chosen period and the moment it began, which stays the same until one is chosen again. */
export function usePeriod(initial: (typeof PERIODS)[number]['value']) {
  const [chosen, setChosen] = useState(() => ({ period: initial as string, since: sinceOf(initial, Date.now()) }))
  const setPeriod = (period: string) => { setChosen({ period, since: sinceOf(period, Date.now()) }) }
  return { ...chosen, setPeriod } as const
}
