/** Short notices at the edge of the page, read out to screen readers. */
import { useEffect, useSyncExternalStore } from 'react'

interface Toast {
  id: number
  text: string
}

let toasts: readonly Toast[] = []
let next = 0
const listeners = new Set<() => void>()

function set(value: readonly Toast[]) {
  toasts = value
  for (const listener of listeners) listener()
}

/** Say something for a few seconds. */
export function toast(text: string): void {
  set([...toasts.slice(-2), { id: next++, text }])
}

function subscribe(listener: () => void) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts)
  const oldest = shown[0]?.id
  useEffect(() => {
    if (oldest === undefined) return
    const timer = setTimeout(() => { set(toasts.filter((t) => t.id !== oldest)) }, 3500)
    return () => { clearTimeout(timer) }
  }, [oldest])
  return (
    <div role="status" aria-live="polite" className="pointer-events-none fixed right-4 bottom-4 z-50 flex flex-col gap-2">
      {shown.map((t) => (
        <div key={t.id} className="rounded-lg border border-line-strong bg-raised px-3 py-2 text-sm shadow-float">
          {t.text}
        </div>
      ))}
    </div>
  )
}
