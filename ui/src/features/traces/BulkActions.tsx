/** What can be done with the chosen traces. */
import { Columns2, Download, Trash2, X } from 'lucide-react'
import { useState } from 'react'
import { Link } from 'react-router'
import { exportUrl, useDeleteTraces } from '@/api/queries'
import { plural } from '@/shared/format'
import { Button, linkLook } from '@/shared/ui/basics'
import { Dialog } from '@/shared/ui/Dialog'
import { toast } from '@/shared/ui/toast'

export function BulkActions({ ids, onDone }: { ids: ReadonlySet<string>; onDone: () => void }) {
  const [asking, setAsking] = useState(false)
  const remove = useDeleteTraces()
  const [left, right] = [...ids]
  const what = plural(ids.size, 'trace')
  const download = () => {
    for (const id of ids) {
      const link = document.createElement('a')
      link.href = exportUrl(id)
      link.download = ''
      link.click()
    }
  }
  return (
    <div className="flex shrink-0 items-center gap-2 border-t border-line bg-selected px-5 py-1.5">
      <span className="font-medium">{what} chosen</span>
      {ids.size === 2 && left && right && (
        <Link to={`/compare?left=${left}&right=${right}`} className={linkLook()}>
          <Columns2 aria-hidden className="size-3.5" /> Compare
        </Link>
      )}
      <Button onClick={download}>
        <Download aria-hidden className="size-3.5" /> Export
      </Button>
      <Button look="danger" onClick={() => { setAsking(true) }}>
        <Trash2 aria-hidden className="size-3.5" /> Delete
      </Button>
      <Button look="plain" className="ml-auto" onClick={onDone}>
        <X aria-hidden className="size-3.5" /> None
      </Button>
      <Dialog title={`Delete ${what}?`} open={asking} onClose={() => { setAsking(false) }} className="w-[min(26rem,calc(100vw-2rem))]">
        <div className="flex flex-col gap-4 p-4">
          <p className="text-muted">Spans, messages, checkpoints and failures go with them. This cannot be undone.</p>
          {remove.error && (
            <p role="alert" className="text-danger">
              {remove.error.message}
            </p>
          )}
          <div className="flex justify-end gap-2">
            <Button onClick={() => { setAsking(false) }}>Keep</Button>
            <Button
              look="danger"
              disabled={remove.isPending}
              onClick={() => {
                remove.mutate([...ids], {
                  onSuccess: () => {
                    setAsking(false)
                    toast(`${what} deleted`)
                    onDone()
                  },
                })
              }}
            >
              {remove.isPending ? 'Deleting …' : `Delete ${what}`}
            </Button>
          </div>
        </div>
      </Dialog>
    </div>
  )
}
