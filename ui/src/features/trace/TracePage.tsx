/** One trace: what happened, who said what, and what broke it. */
import { useEffect, useMemo } from 'react'
import { Link, useParams, useSearchParams } from 'react-router'
import { ApiError, useLiveTrace, useTrace } from '@/api/queries'
import type { Message } from '@/api/types'
import { useMedia } from '@/shared/size'
import { Skeleton, SkeletonLines } from '@/shared/ui/basics'
import { Split } from '@/shared/ui/Split'
import { ErrorState } from '@/shared/ui/states'
import { TraceProvider, useTraceView } from './context'
import { FailuresView } from './failures/FailuresView'
import { GraphView } from './graph/GraphView'
import { Header } from './Header'
import { Inspector } from './Inspector'
import type { TraceData } from './model'
import { gather, selectionOf, viewOf } from './model'
import { SequenceView } from './sequence/SequenceView'
import { Tabs } from './Tabs'
import { TimelineView } from './timeline/TimelineView'
import { TranscriptView } from './transcript/TranscriptView'

const NOTHING_YET: readonly Message[] = []

export function TracePage() {
  const { traceId = '' } = useParams()
  // Another trace is another page: nothing of the view before may stay.
  return <Loaded key={traceId} traceId={traceId} />
}

function Loaded({ traceId }: { traceId: string }) {
  const trace = useTrace(traceId)
  const live = useLiveTrace(traceId)
  const { summary, skeleton, agents, messages, graph, failures } = trace
  const [params] = useSearchParams()
  // Nothing the timeline shows of spans hangs on messages, of which there may be very many.
  const spansAlone = viewOf(params) === 'timeline' && ['none', 'span'].includes(selectionOf(params).kind)
  const said = messages.data ?? (spansAlone ? NOTHING_YET : undefined)
  const data = useMemo(() => {
    if (!summary.data || !skeleton.data || !agents.data || !said || !graph.data || !failures.data) return null
    return gather(summary.data, skeleton.data, agents.data, said, graph.data, failures.data)
  }, [summary.data, skeleton.data, agents.data, said, graph.data, failures.data])
  const failed = Object.values(trace).find((query) => query.error && !query.data)
  const name = summary.data?.name
  useEffect(() => {
    document.title = name ? `${name} · AgentTrace` : 'AgentTrace'
    return () => {
      document.title = 'AgentTrace'
    }
  }, [name])

  if (failed?.error) return <TraceError error={failed.error} traceId={traceId} retry={() => void failed.refetch()} />
  if (!data) return <PageSkeleton />
  return (
    <TraceProvider data={data}>
      <Page data={data} live={live === 'open'} />
    </TraceProvider>
  )
}

function Page({ data, live }: { data: TraceData; live: boolean }) {
  const wide = useMedia('(min-width: 1024px)')
  const { selection, view } = useTraceView()
  const main = <MainView wide={wide} />
  return (
    <div className="flex h-full flex-col">
      <Header data={data} live={live} />
      <Tabs data={data} />
      <div className="flex min-h-0 flex-1 border-t border-line bg-panel">
        {wide ? (
          <Split name="inspector" label="Width of the details" initial={0.68} min={0.35} max={0.85} first={main} second={<Inspector />} />
        ) : view === 'overview' || view === 'failures' || selection.kind === 'none' ? (
          main
        ) : (
          <Split name="sheet" direction="column" label="Height of the details" initial={0.45} first={main} second={<Inspector />} />
        )}
      </div>
    </div>
  )
}

function MainView({ wide }: { wide: boolean }) {
  const { view } = useTraceView()
  switch (view) {
    case 'overview':
      return wide ? (
        <Split
          name="overview.rows"
          direction="column"
          label="Height of the timeline"
          initial={0.58}
          first={
            <Split name="overview.columns" label="Width of the graph" initial={0.5} first={<GraphView compact />} second={<SequenceView compact />} />
          }
          second={<TimelineView compact />}
        />
      ) : (
        // A phone has no room beside a picture: it says in words what happened.
        <Inspector />
      )
    case 'graph':
      return <GraphView />
    case 'sequence':
      return <SequenceView />
    case 'timeline':
      return <TimelineView />
    case 'transcript':
      return <TranscriptView />
    case 'failures':
      return <FailuresView />
  }
}

function TraceError({ error, traceId, retry }: { error: Error; traceId: string; retry: () => void }) {
  const status = error instanceof ApiError ? error.status : -1
  if (status === 404) {
    return (
      <ErrorState
        title="This trace is not on the server"
        detail={`No span of trace ${traceId.slice(0, 64)} is stored. It may have been deleted, or its spans are still on their way; this page looks again when they arrive.`}
        advice={
          <Link to="/traces" className="text-accent hover:underline">
            All traces
          </Link>
        }
        retry={retry}
      />
    )
  }
  return <ErrorState title="The trace cannot be shown" detail={error.message} advice={status === 0 ? 'Is it running? Start it with: agenttrace serve' : undefined} retry={retry} />
}

function PageSkeleton() {
  return (
    <div className="flex h-full flex-col">
      <div className="flex flex-col gap-3 px-5 py-4">
        <Skeleton className="h-5 w-72" />
        <Skeleton className="w-[28rem] max-w-full" />
      </div>
      <div className="flex min-h-0 flex-1 border-t border-line bg-panel">
        <div className="flex-1">
          <SkeletonLines lines={10} label="Loading the trace" />
        </div>
        <div className="hidden w-1/3 border-l border-line lg:block">
          <SkeletonLines lines={8} label="Loading the details" />
        </div>
      </div>
    </div>
  )
}
