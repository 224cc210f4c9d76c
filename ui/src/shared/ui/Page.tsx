/** A page that scrolls under its heading. */
import type { ReactNode } from 'react'

export function Page({ title, lead, controls, children }: { title: string; lead?: ReactNode; controls?: ReactNode; children: ReactNode }) {
  return (
    <div className="flex h-full flex-col">
      <header className="flex shrink-0 flex-wrap items-end gap-x-6 gap-y-2 border-b border-line px-5 pt-4 pb-3">
        <div>
          <h1 className="text-lg leading-6 font-semibold">{title}</h1>
          {lead && <p className="text-muted">{lead}</p>}
        </div>
        {controls && <div className="ml-auto flex items-center gap-2">{controls}</div>}
      </header>
      <div className="min-h-0 flex-1 overflow-y-auto" tabIndex={0} role="group" aria-label={title}>
        <div className="mx-auto flex max-w-6xl flex-col gap-5 p-5">{children}</div>
      </div>
    </div>
  )
}

export function Card({ title, aside, children, flush = false }: { title: string; aside?: ReactNode; children: ReactNode; flush?: boolean }) {
  return (
    <section aria-label={title} className="flex min-w-0 flex-col rounded-xl border border-line bg-panel">
      <div className="flex items-baseline gap-3 px-4 pt-3">
        <h2 className="text-xs font-semibold text-muted">{title}</h2>
        {aside && <span className="tabular ml-auto text-xs text-faint">{aside}</span>}
      </div>
      <div className={flush ? 'min-w-0 overflow-x-auto pt-2 pb-1' : 'min-w-0 px-4 pt-3 pb-4'} {...(flush ? { tabIndex: 0, role: 'group', 'aria-label': title } : {})}>
        {children}
      </div>
    </section>
  )
}
