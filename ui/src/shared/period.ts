/** A stretch of time: up to now and chosen by name, or between two moments. */
import { useEffect, useMemo, useState } from 'react'
import { useSearchParams } from 'react-router'

export const PERIODS = [
  { value: '15m', label: 'Last 15 minutes', minutes: 15 },
  { value: '1h', label: 'Last hour', minutes: 60 },
  { value: '24h', label: 'Last 24 hours', minutes: 24 * 60 },
  { value: '7d', label: 'Last 7 days', minutes: 7 * 24 * 60 },
  { value: '30d', label: 'Last 30 days', minutes: 30 * 24 * 60 },
] as const

/** What stands in an address where a period is the usual and none is wanted. */
export const EVER = 'all'

/** A period's name becomes a moment, cut to the minute so that the same minute asks the same question. */
export function sinceOf(value: string | null, now: number): string | undefined {
  if (!value || value === EVER) return undefined
  const period = PERIODS.find((p) => p.value === value)
  if (!period) return value
  return new Date(Math.floor(now / 60_000) * 60_000 - period.minutes * 60_000).toISOString()
}

/** `27 Nov, 18:00 – 19:00`: between two moments, or from or up to one, in the reader's zone. */
export function between(since: string | null, until: string | null): string {
  const date = (ms: number) => new Date(ms).toLocaleDateString(undefined, { day: 'numeric', month: 'short' })
  const time = (ms: number) => new Date(ms).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', hour12: false })
  const whole = (ms: number) => `${date(ms)}, ${time(ms)}`
  const [from, to] = [since, until].map((text) => (text ? Date.parse(text) : NaN)) as [number, number]
  if (Number.isNaN(from)) return Number.isNaN(to) ? '' : `until ${whole(to)}`
  if (Number.isNaN(to)) return `since ${whole(from)}`
  return `${whole(from)} – ${date(from) === date(to) ? time(to) : whole(to)}`
}

/** The present, cut to minutes: what "last hour" is asked from. */
export function useMinute(): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => { setNow(Date.now()) }, 60_000)
    return () => { clearInterval(timer) }
  }, [])
  return now
}

/** The period that stands in the address, `usual` where none does, and the moment it began. */
export function usePeriod(usual: (typeof PERIODS)[number]['value']) {
  const [params, setParams] = useSearchParams()
  const now = useMinute()
  const period = params.get('since') ?? usual
  const since = useMemo(() => sinceOf(period, now), [period, now])
  const setPeriod = (chosen: string) => {
    setParams((old) => {
      const next = new URLSearchParams(old)
      if (chosen === usual) next.delete('since')
      else next.set('since', chosen || EVER)
      return next
    })
  }
  return { period: period === EVER ? '' : period, setPeriod, since } as const
}
