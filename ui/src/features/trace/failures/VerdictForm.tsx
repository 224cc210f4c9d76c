/** Say that a finding is something else, that it decided the failure, or anything about it. */
import type { SyntheticEvent } from 'react'
import { useState } from 'react'
import { useChangeFailure, useRemoveFailure } from '@/api/reviews'
import type { Failure } from '@/api/types'
import { Button } from '@/shared/ui/basics'
import { toast } from '@/shared/ui/toast'
import { useTraceView } from '../context'
import { CommentField, DecisiveField, ModeField } from './fields'
import { changeOf, isByHand } from './model'

export function VerdictForm({ failure, onClose }: { failure: Failure; onClose: () => void }) {
  const { data } = useTraceView()
  const change = useChangeFailure(data.summary.trace_id)
  const remove = useRemoveFailure(data.summary.trace_id)
  const [mode, setMode] = useState(failure.mode)
  const [comment, setComment] = useState(failure.comment)
  const [decisive, setDecisive] = useState(failure.decisive)
  const answers = { onSuccess: onClose, onError: (error: Error) => { toast(`Not saved: ${error.message}`) } }
  const save = (event: SyntheticEvent) => {
    event.preventDefault()
    const changed = changeOf(failure, { mode: mode.trim(), comment, decisive })
    if (changed) change.mutate({ id: failure.annotation_id, change: changed }, answers)
    else onClose()
  }
  return (
    <form aria-label="Verdict" onSubmit={save} className="flex flex-col gap-2 border-t border-line px-3 py-2">
      <ModeField value={mode} onChange={setMode} />
      <CommentField value={comment} onChange={setComment} />
      <DecisiveField value={decisive} onChange={setDecisive} />
      <div className="flex gap-2">
        <Button type="submit" look="solid" disabled={change.isPending}>
          Save
        </Button>
        <Button onClick={onClose}>Cancel</Button>
        {isByHand(failure) && (
          <Button look="danger" className="ml-auto" disabled={remove.isPending} onClick={() => { remove.mutate(failure.annotation_id, answers) }}>
            Delete
          </Button>
        )}
      </div>
    </form>
  )
}
