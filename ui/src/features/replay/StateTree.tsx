/** A state as typed JSON, every value of which can be edited in place. */
import clsx from 'clsx'
import { ChevronRight, Pencil } from 'lucide-react'
import { useId, useState } from 'react'
import { Badge, Button } from '@/shared/ui/basics'
import type { StateEdit } from './edits'
import { pointer, read, spoken, typeOf, written } from './edits'
import type { Json } from './lens'
import { isObject } from './lens'

const STEP = 60

interface Props {
  root: Json
  edits: readonly StateEdit[]
  onEdit: (edit: StateEdit) => void
}

export function StateTree({ root, edits, onEdit }: Props) {
  const edited = new Map(edits.map((edit) => [edit.path, edit.after]))
  return (
    <div className="font-mono text-xs leading-[18px]">
      <Node value={root} steps={[]} open={3} edited={edited} onEdit={onEdit} />
    </div>
  )
}

interface NodeProps {
  value: Json
  steps: readonly (string | number)[]
  open: number
  edited: ReadonlyMap<string, Json>
  onEdit: (edit: StateEdit) => void
}

function Node(props: NodeProps) {
  const path = pointer(props.steps)
  const now = props.edited.get(path)
  const changed = now !== undefined
  const value = changed ? now : props.value
  const branch = Array.isArray(value) || isObject(value)
  return branch ? <Branch {...props} value={value} path={path} changed={changed} /> : <Leaf {...props} value={value} original={props.value} path={path} changed={changed} />
}

function Branch({ value, steps, open, edited, onEdit, path, changed }: NodeProps & { path: string; changed: boolean }) {
  const [shown, setShown] = useState(open > 0)
  const [limit, setLimit] = useState(STEP)
  const [editing, setEditing] = useState(false)
  const entries: [string | number, Json][] = Array.isArray(value) ? value.map((item, i) => [i, item]) : Object.entries(value as Record<string, Json>)
  const name = steps.at(-1)
  return (
    <div>
      <div className="group flex min-w-0 items-center gap-1">
        <button type="button" aria-expanded={shown} onClick={() => { setShown(!shown) }} className="flex min-w-0 items-center gap-0.5 rounded text-left hover:bg-hover">
          <ChevronRight aria-hidden className={clsx('size-3.5 shrink-0 text-faint transition-transform', shown && 'rotate-90')} />
          {name !== undefined && <span className="text-muted">{name}:</span>}
          <span className="text-faint">{Array.isArray(value) ? `[${String(entries.length)}]` : `{${String(entries.length)}}`}</span>
          {!shown && <span className="truncate pl-1 text-muted">{summary(value)}</span>}
        </button>
        {changed && <Badge tone="warn">edited</Badge>}
        {steps.length > 0 && <EditButton path={path} onClick={() => { setEditing(true); setShown(true) }} />}
      </div>
      {editing && <Editor path={path} value={value} onClose={() => { setEditing(false) }} onEdit={onEdit} />}
      {shown && !editing && (
        <div className="ml-[5px] border-l border-line pl-2">
          {entries.slice(0, limit).map(([key, item]) => (
            <Node key={key} value={item} steps={[...steps, key]} open={open - 1} edited={edited} onEdit={onEdit} />
          ))}
          {entries.length > limit && (
            <button type="button" onClick={() => { setLimit(limit + 5 * STEP) }} className="pl-4 text-accent hover:underline">
              {entries.length - limit} more
            </button>
          )}
        </div>
      )}
    </div>
  )
}

function Leaf({ value, steps, onEdit, path, original, changed }: NodeProps & { path: string; original: Json; changed: boolean }) {
  const [editing, setEditing] = useState(false)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return (
    <div className="pl-4">
      <div className="group flex min-w-0 items-start gap-1">
        <span className="shrink-0 text-muted">{steps.at(-1)}:</span>
        <span className={clsx('min-w-0 break-words whitespace-pre-wrap', typeof value === 'string' ? 'text-[var(--agent-5)]' : value === null ? 'text-faint' : 'text-[var(--agent-1)]')}>
          {text.length > 400 && !changed ? `${text.slice(0, 400)}…` : text === '' ? '(empty text)' : text}
        </span>
        {changed && <Badge tone="warn">edited</Badge>}
        <EditButton path={path} onClick={() => { setEditing(true) }} />
      </div>
      {editing && <Editor path={path} value={value} before={original} onClose={() => { setEditing(false) }} onEdit={onEdit} />}
    </div>
  )
}

function EditButton({ path, onClick }: { path: string; onClick: () => void }) {
  return (
    <button
      type="button"
      aria-label={`Edit ${spoken(path)}`}
      title="Edit"
      onClick={onClick}
      className="shrink-0 rounded p-0.5 text-faint opacity-60 group-hover:opacity-100 hover:bg-hover hover:text-accent focus-visible:opacity-100"
    >
      <Pencil aria-hidden className="size-3" />
    </button>
  )
}

function Editor({ path, value, before, onClose, onEdit }: { path: string; value: Json; before?: Json; onClose: () => void; onEdit: (edit: StateEdit) => void }) {
  const [typed, setTyped] = useState(() => written(value))
  const [problem, setProblem] = useState<string | null>(null)
  const id = useId()
  const kept = before ?? value
  const save = () => {
    const found = read(typed, kept)
    if ('problem' in found) {
      setProblem(found.problem)
      return
    }
    onEdit({ path, before: kept, after: found.value })
    onClose()
  }
  return (
    <div className="my-1 flex flex-col gap-1.5 rounded-lg border border-accent bg-raised p-2">
      <label htmlFor={id} className="text-2xs text-muted">
        {spoken(path)} · {typeOf(kept)}
      </label>
      <textarea
        id={id}
        autoFocus
        spellCheck={typeof kept === 'string'}
        value={typed}
        rows={Math.min(14, Math.max(2, typed.split('\n').length + Math.floor(typed.length / 80)))}
        aria-invalid={problem !== null}
        onChange={(event) => { setTyped(event.target.value); setProblem(null) }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.stopPropagation()
            onClose()
          }
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) save()
        }}
        className="w-full resize-y rounded-md border border-line bg-panel px-2 py-1.5 font-mono text-xs"
      />
      {problem && (
        <p role="alert" className="text-danger">
          {problem}
        </p>
      )}
      <div className="flex items-center gap-2 font-sans">
        <Button look="solid" onClick={save}>
          Keep this
        </Button>
        <Button look="plain" onClick={onClose}>
          Leave as it was
        </Button>
        <span className="ml-auto text-2xs text-faint">Ctrl Enter · Esc</span>
      </div>
    </div>
  )
}

/** A few words about what is folded: who says what in a message, else the names of fields. */
function summary(value: Json): string {
  if (Array.isArray(value)) return value.length && !isObject(value[0]) ? value.slice(0, 3).map((v) => written(v).slice(0, 40)).join(', ') : ''
  if (!isObject(value)) return ''
  const who = [value.name, value.source, value.role, value.type].find((v) => typeof v === 'string' && v !== '')
  const what = [value.content, value.raw, value.description, value.output].find((v) => typeof v === 'string')
  if (typeof what === 'string') return `${typeof who === 'string' ? `${who} — ` : ''}${what.slice(0, 90)}`
  return Object.keys(value).slice(0, 5).join(', ')
}
