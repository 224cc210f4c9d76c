/** Numbers and times as people read them; every unit is spelled in the parameter's name. */

const MINUTE_US = 60_000_000

/** `820 µs`, `12 ms`, `1.24 s`, `2 m 05 s`, `1 h 03 m`. */
export function duration(us: number): string {
  if (!Number.isFinite(us) || us < 0) return '–'
  if (us < 1) return '0 ms'
  if (us < 1000) return `${String(Math.round(us))} µs`
  if (us < 10_000) return `${(us / 1000).toFixed(1)} ms`
  if (us < 999_500) return `${String(Math.round(us / 1000))} ms`
  if (us < 9_995_000) return `${(us / 1e6).toFixed(2)} s`
  if (us < MINUTE_US) return `${(us / 1e6).toFixed(1)} s`
  const seconds = Math.round(us / 1e6)
  if (seconds < 3600) return `${String(Math.floor(seconds / 60))} m ${pad(seconds % 60)} s`
  return `${String(Math.floor(seconds / 3600))} h ${pad(Math.floor((seconds % 3600) / 60))} m`
}

/** `+0.00 s`: a moment relative to the start of its trace. */
export function offset(us: number): string {
  const seconds = Math.max(0, us) / 1e6
  if (seconds < 60) return `+${seconds.toFixed(seconds < 10 ? 2 : 1)} s`
  return `+${String(Math.floor(seconds / 60))}:${pad(Math.floor(seconds % 60))}`
}

/** `940`, `12.4k`, `3.1M`. */
export function count(value: number): string {
  if (value < 1000) return String(value)
  if (value < 999_950) return `${trim(value / 1000)}k`
  return `${trim(value / 1e6)}M`
}

/** US dollars, with as many digits as small sums need. */
export function cost(usd: number | null | undefined): string {
  if (usd === null || usd === undefined) return '–'
  if (usd === 0) return '$0'
  if (usd < 0.01) return `$${usd.toFixed(4)}`
  return `$${usd.toFixed(2)}`
}

/** `512 B`, `1.4 kB`, `3.0 MB`. */
export function bytes(size: number): string {
  if (size < 1000) return `${String(size)} B`
  if (size < 1e6) return `${(size / 1000).toFixed(1)} kB`
  return `${(size / 1e6).toFixed(1)} MB`
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`
}

/** `just now`, `4 min ago`, `3 h ago`, then the date; in the reader's zone. */
export function ago(ms: number, now = Date.now()): string {
  const seconds = Math.round((now - ms) / 1000)
  if (seconds < 10) return 'just now'
  if (seconds < 60) return `${String(seconds)} s ago`
  if (seconds < 3600) return `${String(Math.floor(seconds / 60))} min ago`
  if (seconds < 86_400) return `${String(Math.floor(seconds / 3600))} h ago`
  if (seconds < 7 * 86_400) return `${String(Math.floor(seconds / 86_400))} d ago`
  return new Date(ms).toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' })
}

/** Date and time with milliseconds, in the reader's zone. */
export function moment(ms: number): string {
  const date = new Date(ms)
  return `${date.toLocaleDateString()} ${date.toLocaleTimeString(undefined, { hour12: false })}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** A name as the GenAI conventions write it, `invoke_workflow x`, in its two parts. */
export function nameParts(name: string): { operation: string; rest: string } {
  const [, operation = '', rest = name || '(no name)'] = /^(invoke_workflow|invoke_agent) (.+)$/s.exec(name) ?? []
  return { operation, rest }
}

function pad(n: number): string {
  return String(n).padStart(2, '0')
}

function trim(n: number): string {
  return n >= 100 ? String(Math.round(n)) : n.toFixed(1).replace(/\.0$/, '')
}
