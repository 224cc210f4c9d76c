/** All findings of the trace, with room to read them. */
import { CircleCheck } from 'lucide-react'
import { Panel, PanelTitle } from '@/shared/ui/Panel'
import { EmptyState } from '@/shared/ui/states'
import { useTraceView } from '../context'
import { FailureList } from './FailureList'

export function FailuresView() {
  const { data } = useTraceView()
  return (
    <Panel label="Failures" bar={<PanelTitle>Failures by category, the worst first</PanelTitle>}>
      <div className="absolute inset-0 overflow-y-auto">
        {data.failures.length ? (
          <div className="mx-auto max-w-3xl px-4 py-4">
            <FailureList />
          </div>
        ) : (
          <EmptyState title={data.summary.analysed ? 'No failure found' : 'Not analysed yet'}>
            {data.summary.analysed ? (
              <p className="flex items-center gap-1.5">
                <CircleCheck aria-hidden className="size-4 text-ok" /> Neither an operational fault nor a known failure mode.
              </p>
            ) : (
              <p>Failures are looked for as soon as the trace has gone quiet.</p>
            )}
          </EmptyState>
        )}
      </div>
    </Panel>
  )
}
