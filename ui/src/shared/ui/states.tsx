/** What a panel shows instead of content: an error that says what to do, or why it is empty. */
import { CircleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { Button } from './basics'

export function ErrorState({
  title,
  detail,
  advice,
  retry,
}: {
  title: string
  detail?: string
  advice?: ReactNode
  retry?: () => void
}) {
  return (
    <div role="alert" className="flex h-full min-h-40 flex-col items-center justify-center gap-2 p-6 text-center">
      <CircleAlert aria-hidden className="size-5 text-danger" />
      <p className="text-base font-semibold">{title}</p>
      {detail && <p className="max-w-lg break-words text-muted">{detail}</p>}
      {advice && <div className="max-w-lg text-muted">{advice}</div>}
      {retry && (
        <Button onClick={retry} className="mt-1">
          Try again
        </Button>
      )}
    </div>
  )
}

export function EmptyState({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="flex h-full min-h-32 flex-col items-center justify-center gap-1 p-6 text-center">
      <p className="font-medium text-text">{title}</p>
      {children && <div className="max-w-md text-muted">{children}</div>}
    </div>
  )
}
