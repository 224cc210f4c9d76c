/** Which part of the list is shown. */
import { ChevronLeft, ChevronRight } from 'lucide-react'
import { IconButton, Select } from '@/shared/ui/basics'
import { PAGE_SIZES } from './model'

export function Pager({ page, size, total, change }: { page: number; size: number; total: number; change: (key: 'page' | 'size', value: string) => void }) {
  const pages = Math.max(1, Math.ceil(total / size))
  const from = Math.min(total, (page - 1) * size + 1)
  return (
    <nav aria-label="Pages" className="tabular flex h-11 shrink-0 items-center gap-3 border-t border-line bg-panel px-5 text-xs text-muted">
      <span>
        {from.toLocaleString()}–{Math.min(total, page * size).toLocaleString()} of {total.toLocaleString()}
      </span>
      <span className="ml-auto hidden items-center gap-2 sm:flex">
        Rows
        <Select label="Rows per page" value={String(size)} options={PAGE_SIZES.map(String)} onChange={(value) => { change('size', value) }} />
      </span>
      <span className="ml-auto flex items-center gap-1 sm:ml-0">
        <IconButton label="Previous page" disabled={page <= 1} onClick={() => { change('page', String(page - 1)) }}>
          <ChevronLeft className="size-4" />
        </IconButton>
        Page {page} of {pages}
        <IconButton label="Next page" disabled={page >= pages} onClick={() => { change('page', String(page + 1)) }}>
          <ChevronRight className="size-4" />
        </IconButton>
      </span>
    </nav>
  )
}
