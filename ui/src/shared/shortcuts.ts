/** Keyboard shortcuts: each view declares its own, `?` shows those that are alive. */
import { useLayoutEffect, useRef, useSyncExternalStore } from 'react'

export interface Shortcut {
  /** As `event.key`; `g t` is two keys one after the other; `mod+k` is ⌘ or Ctrl. */
  keys: string
  label: string
  group: string
  run: (event: KeyboardEvent) => void
}

const alive = new Set<readonly Shortcut[]>()
const listeners = new Set<() => void>()
let snapshot: readonly Shortcut[] = []
let prefix = ''
let prefixAt = 0

function changed() {
  snapshot = [...alive].flat()
  for (const listener of listeners) listener()
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName))
}

/** What the event would be called in `Shortcut.keys`. */
export function keyName(event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey'>): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  return event.ctrlKey || event.metaKey ? `mod+${key}` : event.altKey ? `alt+${key}` : key
}

export function onKeyDown(event: KeyboardEvent): void {
  const key = keyName(event)
  if (event.defaultPrevented) return
  if (typing(event.target) && !key.startsWith('mod+')) return
  if (document.querySelector('dialog[open]') && !key.startsWith('mod+')) return
  const chord = prefix && event.timeStamp - prefixAt < 1200 ? `${prefix} ${key}` : ''
  prefix = ''
  // What was mounted last is closest to the reader.
  const all = [...snapshot].reverse()
  const hit = (chord && all.find((s) => s.keys === chord)) || all.find((s) => s.keys === key)
  if (hit) {
    event.preventDefault()
    hit.run(event)
  } else if (all.some((s) => s.keys.startsWith(`${key} `))) {
    prefix = key
    prefixAt = event.timeStamp
  }
}

/** Keep these shortcuts alive while the component is mounted. */
export function useShortcuts(shortcuts: readonly Shortcut[]): void {
  // Layout effects: a shortcut works from the moment its view can be seen.
  const latest = useRef(shortcuts)
  useLayoutEffect(() => {
    latest.current = shortcuts
  })
  const shape = shortcuts.map((s) => `${s.keys}\n${s.label}`).join('\n')
  useLayoutEffect(() => {
    const stable = latest.current.map((s, i) => ({ ...s, run: (e: KeyboardEvent) => latest.current[i]?.run(e) }))
    alive.add(stable)
    changed()
    return () => {
      alive.delete(stable)
      changed()
    }
  }, [shape])
}

/** Every shortcut that is alive now. */
export function useAliveShortcuts(): readonly Shortcut[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => snapshot,
  )
}

export function useShortcutListener(): void {
  useLayoutEffect(() => {
    window.addEventListener('keydown', onKeyDown)
    return () => { window.removeEventListener('keydown', onKeyDown) }
  }, [])
}
