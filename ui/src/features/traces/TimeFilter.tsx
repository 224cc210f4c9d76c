/** When the traces started: lately, or between two moments. */
import clsx from 'clsx'
import { Clock } from 'lucide-react'
import { useState } from 'react'
import { between, PERIODS } from '@/shared/period'
import { Button } from '@/shared/ui/basics'
import { Popover } from '@/shared/ui/Popover'

export type SetTime = (since: string | null, until: string | null) => void

export function TimeFilter({ since, until, onChange }: { since: string | null; until: string | null; onChange: SetTime }) {
  const period = until ? undefined : PERIODS.find((p) => p.value === since)
  const chosen = Boolean(since ?? until)
  const text = period?.label ?? (chosen ? between(since, until) || 'Time' : 'Any time')
  const item = 'rounded px-2 py-1 text-left hover:bg-hover aria-pressed:bg-selected aria-pressed:text-accent'
  return (
    <Popover
      label={`Time: ${text}`}
      align="left"
      trigger={
        <>
          <Clock aria-hidden className={clsx('size-3.5', chosen ? 'text-accent' : 'text-muted')} /> {text}
        </>
      }
    >
      {(close) => (
        <div className="flex w-64 flex-col p-2 text-xs">
          {[{ value: null, label: 'Any time' }, ...PERIODS].map(({ value, label }) => (
            <button
              key={label}
              type="button"
              aria-pressed={value === since && !until}
              className={item}
              onClick={() => {
                close()
                onChange(value, null)
              }}
            >
              {label}
            </button>
          ))}
          <Moments
            since={period ? null : since}
            until={until}
            onChange={(from, to) => {
              close()
              onChange(from, to)
            }}
          />
        </div>
      )}
    </Popover>
  )
}

function Moments({ since, until, onChange }: { since: string | null; until: string | null; onChange: SetTime }) {
  const [from, setFrom] = useState(() => local(since))
  const [to, setTo] = useState(() => local(until))
  const wrong = Boolean(from && to && from >= to)
  const field = (label: string, value: string, change: (value: string) => void) => (
    <label className="flex items-center gap-2">
      <span className="w-10 text-muted">{label}</span>
      <input type="datetime-local" value={value} onChange={(e) => { change(e.target.value) }} className="h-7 min-w-0 flex-1 rounded-md border border-line bg-bg px-1.5" />
    </label>
  )
  return (
    <form
      aria-label="Between two moments"
      className="mt-2 flex flex-col gap-1.5 border-t border-line px-1 pt-2.5"
      onSubmit={(event) => {
        event.preventDefault()
        if (!wrong) onChange(absolute(from), absolute(to))
      }}
    >
      {field('From', from, setFrom)}
      {field('To', to, setTo)}
      {wrong && <p role="alert" className="text-danger">The end must come after the beginning.</p>}
      <Button type="submit" className="self-end" disabled={wrong || !(from || to)}>
        Show
      </Button>
    </form>
  )
}

/** A moment as the browser's field writes it, in the reader's zone. */
function local(text: string | null): string {
  const ms = text ? Date.parse(text) : NaN
  if (Number.isNaN(ms)) return ''
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

function absolute(text: string): string | null {
  return text ? new Date(text).toISOString() : null
}
