/** The server's times: RFC 3339 in UTC with microseconds, which Date would cut to milliseconds. */

/** Unix microseconds of an RFC 3339 text; NaN if it is none. */
export function micros(rfc3339: string): number {
  const match = /^(.{19})(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(rfc3339)
  if (!match) return Number.NaN
  const seconds = Date.parse(`${match[1] ?? ''}${match[3] ?? 'Z'}`)
  return seconds * 1000 + Number((match[2] ?? '').padEnd(6, '0').slice(0, 6) || 0)
}
