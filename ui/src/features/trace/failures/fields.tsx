/** The fields that a verdict and a finding added by hand have in common. */
import type { ReactNode } from 'react'
import { useId } from 'react'
import { useFailureModes } from '@/api/reviews'
import { title } from '@/shared/failureNames'

const BOX = 'w-full rounded-md border border-line bg-raised px-2 py-1 text-xs'

export function Field({ label, children }: { label: string; children: ReactNode }) {
  return (
    <label className="flex flex-col gap-1 text-xs font-medium text-muted">
      {label}
      {children}
    </label>
  )
}

/** A known mode, or any other name: a team may have its own. */
export function ModeField({ value, onChange }: { value: string; onChange: (mode: string) => void }) {
  const modes = useFailureModes()
  const list = useId()
  const known = modes.data?.find((mode) => mode.mode === value)
  return (
    <Field label="What it is">
      <input className={BOX} list={list} required maxLength={100} value={value} onChange={(event) => { onChange(event.target.value) }} />
      <datalist id={list}>
        {modes.data?.map((mode) => (
          <option key={mode.mode} value={mode.mode}>
            {title(mode.mode)}
          </option>
        ))}
      </datalist>
      <span className="min-h-4 text-2xs font-normal text-faint">{known ? `${title(known.mode)}: ${known.meaning}` : value && 'A name of your own'}</span>
    </Field>
  )
}

export function CommentField({ value, onChange }: { value: string; onChange: (comment: string) => void }) {
  return (
    <Field label="Comment">
      <textarea className={BOX} rows={2} maxLength={10_000} value={value} onChange={(event) => { onChange(event.target.value) }} />
    </Field>
  )
}

export function DecisiveField({ value, onChange }: { value: boolean; onChange: (decisive: boolean) => void }) {
  return (
    <label className="flex items-center gap-2 text-xs">
      <input type="checkbox" className="size-3.5 accent-accent-strong" checked={value} onChange={(event) => { onChange(event.target.checked) }} />
      This is where the run went wrong
    </label>
  )
}
