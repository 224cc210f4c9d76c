/** Everything by name: pages, actions of the page behind, traces that contain what is typed. */
import clsx from 'clsx'
import { Search } from 'lucide-react'
import type { KeyboardEvent } from 'react'
import { useDeferredValue, useEffect, useRef, useState } from 'react'
import { useNavigate } from 'react-router'
import { useTraces } from '@/api/queries'
import { ago } from '@/shared/format'
import { useAliveShortcuts } from '@/shared/shortcuts'
import { Keys } from '@/shared/ui/basics'
import { Dialog } from '@/shared/ui/Dialog'
import type { Command } from './palette'
import { rank } from './palette'

export function Palette({ open, onClose, onHelp }: { open: boolean; onClose: () => void; onHelp: () => void }) {
  return (
    <Dialog title="Search and commands" open={open} onClose={onClose} bare>
      <PaletteBody onClose={onClose} onHelp={onHelp} />
    </Dialog>
  )
}

function PaletteBody({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const [typed, setTyped] = useState('')
  const [at, setAt] = useState(0)
  const list = useRef<HTMLUListElement>(null)
  const navigate = useNavigate()
  const shortcuts = useAliveShortcuts()
  const wanted = useDeferredValue(typed.trim())
  const traces = useTraces({ limit: 6, q: wanted || undefined })

  const actions: Command[] = shortcuts
    .filter((s) => s.keys !== 'mod+k')
    .map((s) => ({
      id: s.keys,
      label: s.group === 'Go to' ? `Go to ${s.label}` : s.label,
      keys: s.keys,
      group: 'Commands',
      run: () => {
        if (s.keys === '?') onHelp()
        else s.run(new KeyboardEvent('keydown'))
      },
    }))
  const found: Command[] = (traces.data?.items ?? []).map((t) => ({
    id: t.trace_id,
    label: t.name,
    hint: `${t.service_name} · ${ago(Date.parse(t.start_time))}`,
    group: wanted ? 'Traces' : 'Latest traces',
    run: () => void navigate(`/traces/${t.trace_id}`),
  }))
  const commands = [...rank(actions, typed, typed ? 8 : 50), ...found]
  const current = Math.min(at, commands.length - 1)

  const run = (command: Command | undefined) => {
    if (!command) return
    onClose()
    command.run()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) {
      event.preventDefault()
      setAt((current + step + commands.length) % Math.max(1, commands.length))
    } else if (event.key === 'Enter') {
      event.preventDefault()
      run(commands[current])
    }
  }
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' })
  }, [current])

  return (
    <>
      <div className="flex items-center gap-2.5 border-b border-line px-4">
        <Search aria-hidden className="size-4 text-faint" />
        <input
          role="combobox"
          aria-label="Search traces and commands"
          aria-expanded
          aria-controls="palette-list"
          aria-activedescendant={current >= 0 ? `palette-${String(current)}` : undefined}
          autoFocus
          value={typed}
          onChange={(e) => {
            setTyped(e.target.value)
            setAt(0)
          }}
          onKeyDown={onKeyDown}
          placeholder="Search traces and commands"
          className="h-12 flex-1 bg-transparent text-base outline-none placeholder:text-faint"
        />
      </div>
      <ul ref={list} id="palette-list" role="listbox" aria-label="Results" className="min-h-24 overflow-y-auto p-1.5">
        {commands.map((command, i) => (
          <li
            key={`${command.group}-${command.id}`}
            id={`palette-${String(i)}`}
            role="option"
            aria-selected={i === current}
            onMouseMove={() => { setAt(i) }}
            onClick={() => { run(command) }}
            className={clsx('flex h-9 cursor-pointer items-center gap-3 rounded-md px-2.5', i === current && 'bg-selected')}
          >
            <span className="truncate">{command.label}</span>
            {command.hint && <span className="shrink-0 text-xs text-muted">{command.hint}</span>}
            <span className="ml-auto shrink-0">{command.keys ? <Keys keys={command.keys} /> : <span className="text-xs text-muted">Trace</span>}</span>
          </li>
        ))}
        {!commands.length && <li className="px-3 py-6 text-center text-muted">Nothing has “{typed}” in it.</li>}
      </ul>
    </>
  )
}
