/** Any two traces, side by side. */
import { ArrowLeftRight } from 'lucide-react'
import { Link, useSearchParams } from 'react-router'
import { useComparison } from '@/api/replays'
import { Button, SkeletonLines } from '@/shared/ui/basics'
import { Page } from '@/shared/ui/Page'
import { EmptyState, ErrorState } from '@/shared/ui/states'
import { DiffView } from './DiffView'
import { ColouredAs } from './pieces'

export function ComparePage() {
  const [params, setParams] = useSearchParams()
  const left = params.get('left') ?? ''
  const right = params.get('right') ?? ''
  const diff = useComparison(left, right)
  return (
    <Page
      title="Compare"
      lead={
        left && right ? (
          <>
            <Link to={`/traces/${left}`} className="text-accent hover:underline">
              trace {left.slice(0, 8)}
            </Link>{' '}
            with{' '}
            <Link to={`/traces/${right}`} className="text-accent hover:underline">
              trace {right.slice(0, 8)}
            </Link>
          </>
        ) : undefined
      }
      controls={
        <Button disabled={!left || !right} onClick={() => { setParams({ left: right, right: left }) }}>
          <ArrowLeftRight aria-hidden className="size-3.5" /> Swap
        </Button>
      }
    >
      {!left || !right ? (
        <EmptyState title="Choose two traces to compare">
          <p>
            Mark two in the <Link to="/traces" className="text-accent underline">list of traces</Link> and press Compare.
          </p>
        </EmptyState>
      ) : diff.error ? (
        <ErrorState title="These cannot be compared" detail={diff.error.message} retry={() => void diff.refetch()} />
      ) : diff.data ? (
        <ColouredAs traceId={left}>
          <DiffView diff={diff.data} names={{ left: left.slice(0, 8), right: right.slice(0, 8) }} />
        </ColouredAs>
      ) : (
        <SkeletonLines lines={12} label="Comparing" />
      )}
    </Page>
  )
}
