/** Fill the gaps in figures over time, so that a bar's place tells its time. */

/** `points` are at most one per bucket; the answer has every bucket from the first to `untilMs`, at most 120. With no `fromMs` the points are of all time.
 * `least`: so many buckets there are in any case, empty ones before the first: one bar alone tells nothing of time. */
export function fillBuckets<T extends { time: string }>(
  points: readonly T[],
  bucketSeconds: number,
  fromMs: number | null,
  untilMs: number,
  least = 1,
): { startMs: number; point: T | null }[] {
  const width = bucketSeconds * 1000
  const first = points[0] ? Date.parse(points[0].time) : untilMs
  const latest = points.at(-1)
  const last = latest ? Date.parse(latest.time) : untilMs
  // Of all time, what is drawn ends with what happened last where that is long ago.
  if (fromMs === null && untilMs - last >= width * 119) untilMs = last
  let start = Math.floor(Math.min(first, fromMs ?? first) / width) * width
  const byStart = new Map(points.map((p) => [Math.round(Date.parse(p.time) / width), p]))
  start = Math.min(start, Math.floor(untilMs / width) * width - width * (least - 1))
  start = Math.max(start, Math.floor(untilMs / width) * width - width * 119)
  const filled: { startMs: number; point: T | null }[] = []
  for (let at = start; at <= untilMs; at += width) filled.push({ startMs: at, point: byStart.get(Math.round(at / width)) ?? null })
  return filled
}
