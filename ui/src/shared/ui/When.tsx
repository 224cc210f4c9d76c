/** How long ago a moment was; the moment itself is its tooltip. */
import clsx from 'clsx'
import { ago, moment } from '@/shared/format'

export function When({ at, className }: { at: string; className?: string }) {
  const ms = Date.parse(at)
  return (
    <time dateTime={at} title={moment(ms)} className={clsx(className)}>
      {ago(ms)}
    </time>
  )
}
