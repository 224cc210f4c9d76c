/** The filter row; everything it says stands in the address. */
import { Bookmark, Columns3, Search, Trash2, X } from 'lucide-react'
import type { Ref } from 'react'
import { useEffect, useState } from 'react'
import { useNavigate } from 'react-router'
import { useStats } from '@/api/queries'
import { codeOf, filterOf, nameOf } from '@/shared/failureNames'
import { usePreference } from '@/shared/preferences'
import { Button, IconButton, Segments, Select } from '@/shared/ui/basics'
import { Popover } from '@/shared/ui/Popover'
import { COLUMNS } from './columns'
import type { Filter } from './model'
import { isFiltered, viewOf } from './model'
import type { SetTime } from './TimeFilter'
import { TimeFilter } from './TimeFilter'

type Change = (key: Filter, value: string | null, replace?: boolean) => void

export function Filters({ params, change, setTime, searchRef, when }: { params: URLSearchParams; change: Change; setTime: SetTime; searchRef: Ref<HTMLInputElement>; when: boolean }) {
  const stats = useStats({}, when)
  const names = (list: readonly object[] | undefined, key: string) => (list ?? []).map((row) => String((row as Record<string, unknown>)[key]))
  const select = (key: Filter, label: string, any: string, options: readonly (string | { value: string; label: string })[]) => (
    <Select label={label} any={any} value={params.get(key) ?? ''} options={options} onChange={(value) => { change(key, value) }} />
  )
  const modes = (stats.data?.failure_modes ?? []).map((m) => ({
    value: filterOf(m),
    label: `${[codeOf(m), nameOf(m)].filter(Boolean).join(' ')} (${String(m.traces)})`,
  }))
  return (
    <div role="search" aria-label="Filter traces" className="flex shrink-0 items-center gap-2 overflow-x-auto px-5 pb-3 *:shrink-0 sm:flex-wrap sm:overflow-visible">
      <SearchBox value={params.get('q') ?? ''} onChange={(value) => { change('q', value, true) }} inputRef={searchRef} />
      <Segments
        label="Status"
        value={params.get('status') ?? ''}
        onChange={(value) => { change('status', value) }}
        options={[
          { value: '', label: 'All' },
          { value: 'running', label: 'Running' },
          { value: 'ok', label: 'OK' },
          { value: 'error', label: 'Error' },
        ]}
      />
      <TimeFilter key={`${params.get('since') ?? ''} ${params.get('until') ?? ''}`} since={params.get('since')} until={params.get('until')} onChange={setTime} />
      {select('agent', 'Agent', 'Any agent', names(stats.data?.agents, 'agent'))}
      {select('failure', 'Failure', 'Any failure', modes)}
      {select('framework', 'Framework', 'Any framework', names(stats.data?.frameworks, 'framework'))}
      {select('service', 'Service', 'Any service', names(stats.data?.services, 'service'))}
      {isFiltered(params) && <ClearButton />}
      <span className="ml-auto hidden gap-1 sm:flex">
        <SavedViews params={params} />
        <ColumnChoice joined={params.get('joined') !== 'false'} onJoin={(on) => { change('joined', on ? null : 'false') }} />
      </span>
    </div>
  )
}

function ClearButton() {
  const navigate = useNavigate()
  return (
    <Button look="plain" onClick={() => void navigate('/traces')}>
      <X aria-hidden className="size-3.5" /> Clear
    </Button>
  )
}

/** Types freely, asks the server when typing pauses. */
function SearchBox({ value, onChange, inputRef }: { value: string; onChange: (value: string) => void; inputRef: Ref<HTMLInputElement> }) {
  const [typed, setTyped] = useState(value)
  const [asked, setAsked] = useState(value)
  const [seen, setSeen] = useState(value)
  if (value !== seen) {
    setSeen(value)
    // What was not asked for here came from elsewhere: the back button, a saved view.
    if (value !== asked) {
      setAsked(value)
      setTyped(value)
    }
  }
  useEffect(() => {
    if (typed === value) return
    const timer = setTimeout(() => {
      setAsked(typed)
      onChange(typed)
    }, 300)
    return () => { clearTimeout(timer) }
  }, [typed, value, onChange])
  return (
    <span className="relative min-w-44 flex-1 sm:max-w-72">
      <Search aria-hidden className="pointer-events-none absolute top-1.5 left-2 size-4 text-faint" />
      <input
        ref={inputRef}
        type="search"
        aria-label="Search names, inputs, outputs and messages"
        placeholder="Search names and contents"
        value={typed}
        onChange={(e) => { setTyped(e.target.value) }}
        onKeyDown={(e) => {
          if (e.key !== 'Escape') return
          // The browser would empty the field: leaving it is not giving up what was found.
          e.preventDefault()
          e.currentTarget.blur()
        }}
        className="h-7 w-full rounded-md border border-line bg-panel pr-2 pl-8 placeholder:text-faint hover:border-line-strong"
      />
    </span>
  )
}

interface SavedView {
  name: string
  search: string
}

const NO_VIEWS: readonly SavedView[] = []

function SavedViews({ params }: { params: URLSearchParams }) {
  const [views, setViews] = usePreference('traces.views', NO_VIEWS)
  const [name, setName] = useState('')
  const navigate = useNavigate()
  const search = viewOf(params)
  return (
    <Popover
      label="Saved views"
      trigger={<><Bookmark aria-hidden className="size-3.5" /> Views</>}
    >
      {(close) => (
        <div className="flex w-64 flex-col gap-2 p-2">
          {views.length === 0 && <p className="px-1 text-muted">Keep the present filters and order under a name.</p>}
          {views.map((view) => (
            <div key={view.name} className="flex items-center gap-1">
              <button
                type="button"
                onClick={() => {
                  close()
                  void navigate(`/traces?${view.search}`)
                }}
                className="min-w-0 flex-1 truncate rounded px-2 py-1 text-left hover:bg-hover"
              >
                {view.name}
              </button>
              <IconButton label={`Forget ${view.name}`} onClick={() => { setViews(views.filter((v) => v !== view)) }}>
                <Trash2 className="size-3.5" />
              </IconButton>
            </div>
          ))}
          <form
            className="flex gap-1.5 border-t border-line pt-2"
            onSubmit={(event) => {
              event.preventDefault()
              setViews([...views.filter((v) => v.name !== name.trim()), { name: name.trim(), search }])
              setName('')
            }}
          >
            <input
              aria-label="Name of the view"
              placeholder="Name"
              value={name}
              onChange={(e) => { setName(e.target.value) }}
              className="h-7 min-w-0 flex-1 rounded-md border border-line bg-bg px-2 placeholder:text-faint"
            />
            <Button type="submit" disabled={!name.trim()}>
              Save
            </Button>
          </form>
        </div>
      )}
    </Popover>
  )
}

const NONE: readonly string[] = []

function ColumnChoice({ joined, onJoin }: { joined: boolean; onJoin: (on: boolean) => void }) {
  const [hidden, setHidden] = usePreference('traces.hidden', NONE)
  return (
    <Popover label="Columns" trigger={<><Columns3 aria-hidden className="size-3.5" /> Columns</>}>
      {() => (
        <div className="flex w-52 flex-col p-1.5">
          {COLUMNS.map((column) => (
            <label key={column.key} className="flex cursor-pointer items-center gap-2 rounded px-2 py-1 hover:bg-hover">
              <input
                type="checkbox"
                className="size-3.5 accent-accent-strong"
                checked={!hidden.includes(column.key)}
                onChange={(e) => { setHidden(e.target.checked ? hidden.filter((k) => k !== column.key) : [...hidden, column.key]) }}
              />
              {column.label}
            </label>
          ))}
          <label className="mt-1 flex cursor-pointer items-center gap-2 border-t border-line px-2 pt-2 pb-1 hover:bg-hover" title="Runs that came as several traces: as one row, or as they were recorded">
            <input type="checkbox" className="size-3.5 accent-accent-strong" checked={joined} onChange={(e) => { onJoin(e.target.checked) }} />
            Fragments of a run as one
          </label>
        </div>
      )}
    </Popover>
  )
}
