/** One number of a row of them, with what makes sense of it under it. They stand in a `Figures`. */
import type { ReactNode } from 'react'

export function Figures({ children }: { children: ReactNode }) {
  return <dl className="grid grid-cols-2 gap-3 sm:grid-cols-3 lg:grid-cols-6">{children}</dl>
}

export function Figure({ name, value, note }: { name: string; value: string; note: string }) {
  return (
    <div className="rounded-xl border border-line bg-panel px-4 py-3">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="tabular mt-0.5">
        <span className="block text-lg leading-7 font-semibold">{value}</span>
        <span className="block truncate text-2xs text-faint">{note}</span>
      </dd>
    </div>
  )
}

/** A number that is bad news unless it is none. */
export function Warned({ value, text }: { value: number; text: string }) {
  return value ? <span className="text-warn">{text}</span> : <span className="text-faint">–</span>
}
