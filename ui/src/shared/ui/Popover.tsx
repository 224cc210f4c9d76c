/** A button with a small panel under it; Escape, a click elsewhere or leaving by Tab closes it. `inline`: it is a word of a sentence. */
import type { ReactNode } from 'react'
import { useEffect, useId, useRef, useState } from 'react'
import { Button } from './basics'

export function Popover({ label, trigger, align = 'right', inline = false, children }: { label: string; trigger: ReactNode; align?: 'left' | 'right'; inline?: boolean; children: (close: () => void) => ReactNode }) {
  const [open, setOpen] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const id = useId()
  useEffect(() => {
    if (!open) return
    const outside = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false)
    }
    window.addEventListener('pointerdown', outside)
    window.addEventListener('focusin', outside)
    return () => {
      window.removeEventListener('pointerdown', outside)
      window.removeEventListener('focusin', outside)
    }
  }, [open])
  return (
    <div
      ref={box}
      className="relative"
      onKeyDown={(event) => {
        if (event.key === 'Escape' && open) {
          event.stopPropagation()
          event.preventDefault()
          setOpen(false)
          box.current?.querySelector('button')?.focus()
        }
      }}
    >
      <Button
        aria-label={label}
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => { setOpen(!open) }}
        look={inline ? 'text' : 'outline'}
      >
        {trigger}
      </Button>
      {open && (
        <div id={id} role="group" aria-label={label} className={`absolute top-8 z-30 rounded-lg border border-line-strong bg-panel shadow-float ${align === 'left' ? 'left-0' : 'right-0'}`}>
          {children(() => { setOpen(false) })}
        </div>
      )}
    </div>
  )
}
