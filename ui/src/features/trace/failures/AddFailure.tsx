/** Add a failure that a person saw, at what is selected. */
import { Plus } from 'lucide-react'
import type { SyntheticEvent } from 'react'
import { useState } from 'react'
import { useAddFailure } from '@/api/reviews'
import { Button } from '@/shared/ui/basics'
import { Dialog } from '@/shared/ui/Dialog'
import { toast } from '@/shared/ui/toast'
import { useTraceView } from '../context'
import { CommentField, DecisiveField, ModeField } from './fields'
import { placeOf } from './model'

export function AddFailure() {
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button look="plain" className="ml-auto" onClick={() => { setOpen(true) }}>
        <Plus aria-hidden className="size-3.5" /> Add a failure
      </Button>
      <Dialog title="Add a failure" open={open} onClose={() => { setOpen(false) }}>
        <Form onClose={() => { setOpen(false) }} />
      </Dialog>
    </>
  )
}

function Form({ onClose }: { onClose: () => void }) {
  const { data, selection } = useTraceView()
  const add = useAddFailure(data.summary.trace_id)
  const [mode, setMode] = useState('')
  const [comment, setComment] = useState('')
  const [decisive, setDecisive] = useState(false)
  const place = placeOf(selection, data)
  const save = (event: SyntheticEvent) => {
    event.preventDefault()
    add.mutate(
      { severity: 'medium', evidence: '', explanation: '', ...place.pinned, mode: mode.trim(), comment, decisive },
      { onSuccess: onClose, onError: (error) => { toast(`Not saved: ${error.message}`) } },
    )
  }
  return (
    <form onSubmit={save} className="flex flex-col gap-3 p-4">
      <p className="text-xs text-muted">
        At <span className="font-medium text-text">{place.name}</span>
        {selection.kind === 'none' && '. Select a message, a span or an agent to pin it there.'}
      </p>
      <ModeField value={mode} onChange={setMode} />
      <CommentField value={comment} onChange={setComment} />
      <DecisiveField value={decisive} onChange={setDecisive} />
      <div className="flex gap-2">
        <Button type="submit" look="solid" disabled={add.isPending}>
          Add
        </Button>
        <Button onClick={onClose}>Cancel</Button>
      </div>
    </form>
  )
}
