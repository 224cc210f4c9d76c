/** The smallest pieces every page is made of. */
import clsx from 'clsx'
import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react'

type Look = 'plain' | 'solid' | 'outline' | 'danger' | 'text'

const LOOKS: Record<Look, string> = {
  plain: 'text-muted hover:bg-hover hover:text-text',
  outline: 'border border-line bg-panel text-text hover:border-line-strong hover:bg-hover',
  solid: 'bg-accent-strong text-on-accent hover:brightness-110',
  text: 'rounded underline decoration-faint decoration-dotted underline-offset-3 hover:text-accent',
  danger: 'border border-line bg-panel text-danger hover:border-danger hover:bg-danger-soft',
}

const SHAPE = 'inline-flex h-7 shrink-0 items-center gap-1.5 rounded-md px-2.5 text-xs font-medium whitespace-nowrap transition-colors disabled:opacity-50'

/** A link that looks like a button: it goes somewhere, so it is a link. */
export function linkLook(look: Look = 'outline'): string {
  return clsx(SHAPE, LOOKS[look])
}

export function Button({
  look = 'outline',
  className,
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { look?: Look; ref?: Ref<HTMLButtonElement> }) {
  return (
    <button
      type="button"
      className={clsx(look !== 'text' && SHAPE, LOOKS[look], className)}
      {...rest}
    />
  )
}

/** A button that is only a picture: `label` is its name and its tooltip. */
export function IconButton({
  label,
  pressed,
  className,
  children,
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { label: string; pressed?: boolean }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      className={clsx(
        'inline-flex size-7 shrink-0 items-center justify-center rounded-md transition-colors disabled:opacity-40',
        pressed ? 'bg-selected text-accent' : 'text-muted hover:bg-hover hover:text-text',
        className,
      )}
      {...rest}
    >
      {children}
    </button>
  )
}

export type Tone = 'neutral' | 'accent' | 'danger' | 'warn' | 'ok'

const TONES: Record<Tone, string> = {
  neutral: 'bg-neutral-soft text-muted',
  accent: 'bg-info-soft text-accent',
  danger: 'bg-danger-soft text-danger',
  warn: 'bg-warn-soft text-warn',
  ok: 'bg-ok-soft text-ok',
}

export function Badge({
  tone = 'neutral',
  title,
  className,
  children,
}: {
  tone?: Tone
  title?: string
  className?: string
  children: ReactNode
}) {
  return (
    <span
      title={title}
      className={clsx(
        'inline-flex h-[18px] shrink-0 items-center gap-1 rounded px-1.5 align-middle text-2xs font-medium whitespace-nowrap',
        TONES[tone],
        className,
      )}
    >
      {children}
    </span>
  )
}

export function Keys({ keys }: { keys: string }) {
  const mac = /mac/i.test(navigator.userAgent)
  const parts = keys.split(' ').map((key) => key.replace('mod+', mac ? '⌘' : 'Ctrl ').replace('Escape', 'Esc'))
  return (
    <span className="inline-flex gap-1">
      {parts.map((part, i) => (
        <kbd
          key={i}
          className="inline-flex h-[18px] min-w-[18px] items-center justify-center rounded border border-line bg-raised px-1 font-mono text-2xs text-muted uppercase"
        >
          {part}
        </kbd>
      ))}
    </span>
  )
}

export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={clsx('skeleton h-3', className)} />
}

/** Grey lines of varying length where text is about to be. */
export function SkeletonLines({ lines = 6, label = 'Loading' }: { lines?: number; label?: string }) {
  return (
    <div role="status" aria-label={label} className="flex flex-col gap-2.5 p-4">
      {Array.from({ length: lines }, (_, i) => (
        <div key={i} aria-hidden className="skeleton h-3" style={{ width: `${String(92 - ((i * 37) % 55))}%` }} />
      ))}
    </div>
  )
}

export function Avatar({ name, colour, size = 18 }: { name: string; colour: string; size?: number }) {
  return (
    <span
      aria-hidden
      className="inline-flex shrink-0 items-center justify-center rounded-[5px] font-semibold"
      style={{
        width: size,
        height: size,
        fontSize: size * 0.55,
        color: colour,
        boxShadow: `inset 0 0 0 1.5px ${colour}`,
      }}
    >
      {name.trim().charAt(0).toUpperCase() || '?'}
    </span>
  )
}

/** A segmented choice between a few views or values. */
export function Segments<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string
  value: T
  options: readonly { value: T; label: ReactNode; name?: string }[]
  onChange: (value: T) => void
}) {
  return (
    <div role="group" aria-label={label} className="inline-flex rounded-md border border-line bg-raised p-0.5">
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === value}
          aria-label={option.name}
          title={option.name}
          onClick={() => { onChange(option.value) }}
          className={clsx(
            'inline-flex h-[22px] items-center gap-1 rounded px-2 text-xs font-medium whitespace-nowrap transition-colors',
            option.value === value ? 'bg-panel text-text shadow-sm ring-1 ring-line' : 'text-muted hover:text-text',
          )}
        >
          {option.label}
        </button>
      ))}
    </div>
  )
}

export function Select({
  label,
  value,
  onChange,
  options,
  any,
}: {
  label: string
  value: string
  onChange: (value: string) => void
  options: readonly (string | { value: string; label: string })[]
  /** What the empty choice is called. */
  any?: string
}) {
  const known = options.map((o) => (typeof o === 'string' ? { value: o, label: o } : o))
  if (value && !known.some((o) => o.value === value)) known.unshift({ value, label: value })
  return (
    <select
      aria-label={label}
      value={value}
      onChange={(e) => { onChange(e.target.value) }}
      className={clsx(
        'h-7 max-w-44 min-w-0 rounded-md border bg-panel px-1.5 [field-sizing:content] text-xs font-medium hover:border-line-strong',
        value && any !== undefined ? 'border-accent text-text' : 'border-line text-muted',
      )}
    >
      {any !== undefined && <option value="">{any}</option>}
      {known.map((o) => (
        <option key={o.value} value={o.value}>
          {o.label}
        </option>
      ))}
    </select>
  )
}
