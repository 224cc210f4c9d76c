/** All findings of the trace, with room to read them. */
import { CircleCheck } from 'lucide-react'
import { Panel, PanelTitle } from '@/shared/ui/Panel'
import { EmptyState } from '@/shared/ui/states'
import { useTraceView } from '../context'
import { AddFailure } from './AddFailure'
import { FailureList } from './FailureList'
import { WentWrong } from './WentWrong'

export function FailuresView() {
  const { data } = useTraceView()
  return (
    <Panel label="Failures" bar={<><PanelTitle>Failures by category, the worst first</PanelTitle><AddFailure /></>}>
      <div className="absolute inset-0 overflow-y-auto">
        <div className="mx-auto max-w-3xl px-4 py-4">
          <WentWrong />
          {data.failures.length ? <FailureList /> : <NoFailure analysed={data.summary.analysed} />}
        </div>
      </div>
    </Panel>
  )
}

function NoFailure({ analysed }: { analysed: boolean }) {
  return (
    <EmptyState title={analysed ? 'No failure found' : 'Not analysed yet'}>
      {analysed ? (
        <p className="flex items-center gap-1.5">
          <CircleCheck aria-hidden className="size-4 text-ok" /> Neither an operational fault nor a known failure mode.
        </p>
      ) : (
        <p>Failures are looked for as soon as the trace has gone quiet.</p>
      )}
    </EmptyState>
  )
}
