/** JSON as a tree that folds; long texts and long lists open in steps. */
import clsx from 'clsx'
import { ChevronRight } from 'lucide-react'
import { memo, useState } from 'react'
import { bytes } from '../format'
import { asBlob } from './model'

const STEP = 100
const LONG = 280

export const JsonTree = memo(function JsonTree({ value, depth = 2 }: { value: unknown; depth?: number }) {
  return (
    <div className="font-mono text-xs leading-[18px] break-words">
      <Node value={value} open={depth} root />
    </div>
  )
})

function Node({ name, value, open, root = false }: { name?: string; value: unknown; open: number; root?: boolean }) {
  if (typeof value === 'object' && value !== null) return <Branch name={name} value={value} open={open} />
  const inner = typeof value === 'string' ? parsed(value) : null
  if (inner) return <Branch name={name} value={inner} open={open} quoted />
  return (
    <div className={clsx(!root && 'pl-8 -indent-4')}>
      {name !== undefined && <span className="break-all text-muted">{name}: </span>}
      <Leaf value={value} />
    </div>
  )
}

/** The object or list that a text holds as JSON; attributes often do. */
function parsed(text: string): object | null {
  if (text.length > 500_000 || !/^\s*(\{\s*["}]|\[)/.test(text)) return null
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' ? value : null
  } catch {
    return null
  }
}

function Branch({ name, value, open, quoted = false }: { name?: string; value: object; open: number; quoted?: boolean }) {
  const [shown, setShown] = useState(open > 0)
  const [limit, setLimit] = useState(STEP)
  const list = Array.isArray(value)
  const entries = Object.entries(value as Record<string, unknown>)
  const size = entries.length
  const summary = list ? `[${String(size)}]` : size === 0 ? '{}' : `{${String(size)}}`
  return (
    <div>
      <button
        type="button"
        aria-expanded={shown}
        onClick={() => { setShown(!shown) }}
        className="-ml-0.5 flex max-w-full items-center gap-0.5 rounded text-left hover:bg-hover"
      >
        <ChevronRight aria-hidden className={clsx('size-3.5 shrink-0 text-faint transition-transform', shown && 'rotate-90')} />
        <span className="break-all text-muted">{name !== undefined ? `${name}: ` : ''}</span>
        <span className="text-faint" title={quoted ? 'JSON inside a text' : undefined}>
          {quoted ? `“${summary}”` : summary}
        </span>
        {!shown && !list && (
          <span className="truncate text-faint">
            {entries
              .slice(0, 4)
              .map(([key]) => key)
              .join(', ')}
          </span>
        )}
      </button>
      {shown && (
        <div className="ml-[5px] border-l border-line pl-1.5">
          {entries.slice(0, limit).map(([key, item]) => (
            <Node key={key} name={key} value={item} open={open - 1} />
          ))}
          {size > limit && (
            <button type="button" onClick={() => { setLimit(limit + STEP * 5) }} className="pl-4 text-accent hover:underline">
              {size - limit} more
            </button>
          )}
        </div>
      )}
    </div>
  )
}

function Leaf({ value }: { value: unknown }) {
  const [all, setAll] = useState(false)
  if (typeof value !== 'string') {
    return <span className={value === null ? 'text-faint' : 'text-[var(--agent-1)]'}>{String(value)}</span>
  }
  const blob = asBlob(value)
  if (blob) {
    return (
      <span className="text-faint">
        {blob.media}, {bytes(blob.size)}, not shown
      </span>
    )
  }
  const long = value.length > LONG
  return (
    <span className="whitespace-pre-wrap text-[var(--agent-5)]">
      {all || !long ? value : `${value.slice(0, LONG)}…`}
      {long && (
        <button type="button" onClick={() => { setAll(!all) }} className="ml-1 text-accent hover:underline">
          {all ? 'less' : `all ${bytes(value.length)}`}
        </button>
      )}
    </span>
  )
}
