/** Two panes with a divider that is dragged, or moved with the arrow keys; the place is remembered. */
import clsx from 'clsx'
import type { KeyboardEvent, PointerEvent, ReactNode } from 'react'
import { useRef } from 'react'
import { usePreference } from '../preferences'

export function Split({
  name,
  direction = 'row',
  label,
  initial,
  min = 0.15,
  max = 0.85,
  first,
  second,
}: {
  /** The preference under which the place is kept. */
  name: string
  direction?: 'row' | 'column'
  label: string
  /** Share of the first pane, 0 to 1. */
  initial: number
  min?: number
  max?: number
  first: ReactNode
  second: ReactNode
}) {
  const box = useRef<HTMLDivElement>(null)
  const [stored, setStored] = usePreference(`split.${name}`, initial)
  const clamp = (value: number) => Math.min(max, Math.max(min, value))
  const share = clamp(stored)
  const row = direction === 'row'

  const drag = (event: PointerEvent<HTMLDivElement>) => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId) || !box.current) return
    const rect = box.current.getBoundingClientRect()
    setStored(clamp(row ? (event.clientX - rect.left) / rect.width : (event.clientY - rect.top) / rect.height))
  }
  const nudge = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -0.02, ArrowUp: -0.02, ArrowRight: 0.02, ArrowDown: 0.02 }[event.key]
    if (step !== undefined) {
      event.preventDefault()
      setStored(clamp(share + step))
    } else if (event.key === 'Home' || event.key === 'Enter') {
      setStored(initial)
    }
  }
  return (
    <div ref={box} className={clsx('flex min-h-0 min-w-0 flex-1', row ? 'flex-row' : 'flex-col')}>
      <div className="flex min-h-0 min-w-0 overflow-hidden" style={{ flex: `${String(share)} 1 0` }}>
        {first}
      </div>
      <div
        role="separator"
        aria-label={label}
        aria-orientation={row ? 'vertical' : 'horizontal'}
        aria-valuenow={Math.round(share * 100)}
        aria-valuemin={Math.round(min * 100)}
        aria-valuemax={Math.round(max * 100)}
        tabIndex={0}
        onPointerDown={(e) => { e.currentTarget.setPointerCapture(e.pointerId) }}
        onPointerMove={drag}
        onDoubleClick={() => { setStored(initial) }}
        onKeyDown={nudge}
        className={clsx(
          'relative z-10 shrink-0 touch-none bg-line transition-colors hover:bg-accent focus-visible:bg-accent',
          row
            ? 'w-px cursor-col-resize before:absolute before:inset-y-0 before:-left-1 before:w-2.5'
            : 'h-px cursor-row-resize before:absolute before:inset-x-0 before:-top-1 before:h-2.5',
        )}
      />
      <div className="flex min-h-0 min-w-0 overflow-hidden" style={{ flex: `${String(1 - share)} 1 0` }}>
        {second}
      </div>
    </div>
  )
}
