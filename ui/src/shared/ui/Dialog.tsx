/** A modal on the browser's own dialog: focus, Escape and inertness come with it. */
import clsx from 'clsx'
import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { useEffect, useRef } from 'react'
import { IconButton } from './basics'

export function Dialog({
  title,
  open,
  onClose,
  bare = false,
  className,
  children,
}: {
  title: string
  open: boolean
  onClose: () => void
  /** Without the heading row (the title still names the dialog). */
  bare?: boolean
  className?: string
  children: ReactNode
}) {
  const ref = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const dialog = ref.current
    if (!dialog) return
    if (open && !dialog.open) dialog.showModal()
    if (!open && dialog.open) dialog.close()
  }, [open])
  return (
    <dialog
      ref={ref}
      aria-label={title}
      onClose={onClose}
      onKeyDown={(event) => {
        // The browser's own closing comes a moment later, and the next key would be lost in between.
        if (event.key !== 'Escape' || event.defaultPrevented) return
        event.preventDefault()
        event.currentTarget.close()
      }}
      onClick={(event) => {
        if (event.target === event.currentTarget) onClose()
      }}
      className={clsx(
        'm-auto mt-[12vh] max-h-[76vh] w-[min(36rem,calc(100vw-2rem))] overflow-hidden rounded-xl border border-line bg-panel p-0 text-text shadow-float',
        className,
      )}
    >
      {open && (
        <div className="flex max-h-[76vh] flex-col">
          {!bare && (
            <header className="flex items-center justify-between border-b border-line py-2 pr-2 pl-4">
              <h2 className="text-base font-semibold">{title}</h2>
              <IconButton label="Close" onClick={onClose}>
                <X className="size-4" />
              </IconButton>
            </header>
          )}
          {children}
        </div>
      )}
    </dialog>
  )
}
