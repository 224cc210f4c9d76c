/** A pane with its own small bar of controls above. */
import clsx from 'clsx'
import type { ReactNode } from 'react'

export function Panel({ label, bar, children, className }: { label: string; bar?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section aria-label={label} className={clsx('flex min-h-0 min-w-0 flex-1 flex-col', className)}>
      {bar && <div className="flex h-9 shrink-0 items-center gap-2 overflow-x-auto border-b border-line px-3 sm:overflow-visible">{bar}</div>}
      <div className="relative min-h-0 min-w-0 flex-1">{children}</div>
    </section>
  )
}

export function PanelTitle({ children }: { children: ReactNode }) {
  return <h2 className="shrink-0 text-xs font-semibold text-muted">{children}</h2>
}
