/** Small choices a reader makes, kept in this browser. */
import { useCallback, useSyncExternalStore } from 'react'

const PREFIX = 'agenttrace.'
const listeners = new Set<() => void>()
const cache = new Map<string, unknown>()

function read(key: string): unknown {
  if (!cache.has(key)) {
    let value: unknown
    try {
      const text = localStorage.getItem(PREFIX + key)
      value = text === null ? undefined : JSON.parse(text)
    } catch {
      // A browser may forbid storage, or hold what an older version wrote: the default serves.
      value = undefined
    }
    cache.set(key, value)
  }
  return cache.get(key)
}

export function remember(key: string, value: unknown): void {
  cache.set(key, value)
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(value))
  } catch {
    // Not kept beyond this page, then.
  }
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Like useState, remembered. `fallback` must keep its identity between renders. */
export function usePreference<T>(key: string, fallback: T): [T, (value: T) => void] {
  const value = useSyncExternalStore(subscribe, () => read(key)) as T | undefined
  const set = useCallback((next: T) => { remember(key, next) }, [key])
  return [value ?? fallback, set]
}
