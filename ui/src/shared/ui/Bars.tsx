/** A small bar chart over time, in plain SVG; its table twin is for those who cannot see it. */
import { useRef } from 'react'
import { useSize } from '../size'

export interface Bar {
  label: string
  /** Stacked from the bottom; as many as there are colours. */
  values: number[]
}

export function Bars({
  title,
  bars,
  colours,
  names,
  height = 44,
  format = String,
  scale = false,
  onPick,
}: {
  title: string
  bars: readonly Bar[]
  colours: readonly string[]
  names: readonly string[]
  height?: number
  format?: (value: number) => string
  /** Say how much the highest bar is. */
  scale?: boolean
  /** What a click on a bar does; it must be possible without a mouse elsewhere. */
  onPick?: (index: number) => void
}) {
  const box = useRef<HTMLDivElement>(null)
  const { width } = useSize(box)
  const most = Math.max(1e-9, ...bars.map((b) => b.values.reduce((sum, v) => sum + v, 0)))
  const top = scale ? 16 : 0
  const step = bars.length ? width / bars.length : 0
  const gap = step > 5 ? Math.min(3, step * 0.25) : 0.5
  const describe = (bar: Bar) => `${bar.label}: ${bar.values.map((v, i) => `${format(v)} ${names[i] ?? ''}`).join(', ')}`
  return (
    <div ref={box} className="w-full min-w-0" style={{ height }}>
      <svg width={width} height={height} role="img" aria-label={`${title}. ${String(bars.length)} points, at most ${format(most)}.`}>
        <line x1={0} x2={width} y1={height - 0.5} y2={height - 0.5} stroke="var(--line)" />
        {scale && most > 1e-9 && (
          <g aria-hidden>
            <line x1={0} x2={width} y1={top + 2.5} y2={top + 2.5} stroke="var(--line)" strokeDasharray="2 4" />
            <text x={0} y={top - 4} fontSize={11} fill="var(--faint)">
              {format(most)}
            </text>
          </g>
        )}
        {bars.map((bar, i) => {
          let y = height - 1
          return (
            <g key={bar.label}>
              {bar.values.map((value, part) => {
                const tall = value > 0 ? Math.max(1.5, (value / most) * (height - 4 - top)) : 0
                y -= tall
                return <rect key={part} x={i * step + gap / 2} y={y} width={Math.max(1, step - gap)} height={tall} rx={Math.min(1.5, step / 4)} fill={colours[part]} />
              })}
              <rect x={i * step} y={0} width={Math.max(1, step)} height={height} fill="transparent" className={onPick && 'cursor-pointer hover:fill-hover/60'} onClick={onPick && (() => { onPick(i) })}>
                <title>{describe(bar)}</title>
              </rect>
            </g>
          )
        })}
      </svg>
    </div>
  )
}
