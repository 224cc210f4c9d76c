/** One span, whole: fetched when it is looked at. */
import { CircleAlert, Copy, Link2, Terminal } from 'lucide-react'
import { apiUrl, ApiError, useSpan } from '@/api/queries'
import type { Span } from '@/api/types'
import { copy } from '@/shared/clipboard'
import { Content, ContentSection, Fold } from '@/shared/content/Content'
import { JsonTree } from '@/shared/content/JsonTree'
import { cost, duration, moment, offset } from '@/shared/format'
import { micros } from '@/shared/time'
import { Badge, Button, SkeletonLines } from '@/shared/ui/basics'
import { ErrorState } from '@/shared/ui/states'
import { useTraceView } from '../context'
import { FailureCard } from '../failures/FailureCard'
import { AgentLink, KindIcon, kindName } from '../names'
import { Fact, Facts, MessageLine, Section } from './pieces'

export function SpanDetails({ spanId }: { spanId: string }) {
  const { data } = useTraceView()
  const { trace_id: traceId, version } = data.summary
  const span = useSpan(traceId, spanId, version)
  if (span.data) return <Loaded span={span.data} />
  if (span.error) {
    const gone = span.error instanceof ApiError && span.error.status === 404
    return (
      <ErrorState
        title={gone ? 'This span is not in the trace' : 'The span cannot be shown'}
        detail={gone ? 'It may not have arrived yet, or the link names another trace’s span.' : span.error.message}
        retry={() => void span.refetch()}
      />
    )
  }
  return <SkeletonLines lines={10} label="Loading the span" />
}

function Loaded({ span }: { span: Span }) {
  const { data, select } = useTraceView()
  const origin = micros(data.skeleton.start_time)
  const messages = data.messagesOfSpan.get(span.span_id) ?? []
  const failures = data.failuresOfSpan.get(span.span_id) ?? []
  const parent = span.parent_id ? data.rowOf.get(span.parent_id) : undefined
  const tokens = span.tokens_in !== null || span.tokens_out !== null
  const error = span.error ?? (span.status === 'error' ? span.status_message : '')
  return (
    <div className="flex flex-col gap-4">
      <div>
        <div className="flex items-start gap-2">
          <span className="mt-0.5">
            <KindIcon kind={span.kind} />
          </span>
          <h3 className="min-w-0 text-base font-semibold break-words">{span.name}</h3>
        </div>
        <div className="mt-1.5 flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-muted">
          {span.status !== 'unset' && <Badge tone={span.status === 'error' ? 'danger' : 'ok'}>{span.status}</Badge>}
          {span.agent && <AgentLink name={span.agent} />}
          <span className="tabular">
            {duration(span.duration_ms * 1000)} at {offset(micros(span.start_time) - origin)}
          </span>
        </div>
      </div>
      {(span.error !== null || span.status === 'error') && (
        <div role="note" aria-label="Error" className="flex gap-2 rounded-lg bg-danger-soft px-3 py-2 text-danger">
          <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
          <div className="min-w-0 flex-1 break-words whitespace-pre-wrap">
            <Fold height={160}>{error || 'The span ended with an error and says nothing about it.'}</Fold>
          </div>
        </div>
      )}
      {failures.map((failure) => (
        <FailureCard key={failure.annotation_id} failure={failure} linked={false} />
      ))}
      <Facts>
        <Fact name="Kind">{kindName(span.kind)}</Fact>
        <Fact name="Model">{[span.provider, span.model].filter(Boolean).join(' · ')}</Fact>
        <Fact name="Tool">{span.tool}</Fact>
        {tokens && (
          <Fact name="Tokens">
            {(span.tokens_in ?? 0).toLocaleString()} in, {(span.tokens_out ?? 0).toLocaleString()} out
            {span.kind !== 'llm' && <span className="font-normal text-muted"> · a roll-up, not counted again</span>}
          </Fact>
        )}
        <Fact name="Cost">{span.cost_usd === null ? null : cost(span.cost_usd)}</Fact>
        <Fact name="Session">{span.session}</Fact>
        <Fact name="Parent">
          {parent !== undefined ? (
            <button type="button" className="text-left text-accent hover:underline" onClick={() => { if (span.parent_id) select({ kind: 'span', spanId: span.parent_id }) }}>
              {data.skeleton.names[data.skeleton.name[parent] ?? -1]}
            </button>
          ) : (
            span.parent_id && <span className="font-normal text-muted">{span.parent_id} has not arrived</span>
          )}
        </Fact>
        <Fact name="Started">
          <span className="font-normal text-muted">{moment(Date.parse(span.start_time))}</span>
        </Fact>
      </Facts>
      <ContentSection title="Input" text={span.input} fold={300} />
      <ContentSection title="Output" text={span.output} fold={300} />
      {messages.length > 0 && (
        <Section title="Messages sent during it">
          <div className="-mx-2 flex flex-col">
            {messages.map((m) => (
              <MessageLine key={m.message_id} message={m} />
            ))}
          </div>
        </Section>
      )}
      {span.events.length > 0 && (
        <Section title="Events">
          <ol className="flex flex-col gap-2">
            {span.events.map((event, i) => (
              <li key={i} className="rounded-lg border border-line px-3 py-2">
                <div className="mb-1 flex items-baseline gap-2">
                  <span className="min-w-0 font-medium break-words">{event.name}</span>
                  <span className="tabular ml-auto shrink-0 text-2xs text-faint">{offset(micros(event.time) - origin)}</span>
                </div>
                {Object.keys(event.attributes).length > 0 && (
                  <Fold height={140}>
                    <JsonTree value={event.attributes} />
                  </Fold>
                )}
              </li>
            ))}
          </ol>
        </Section>
      )}
      {span.links.length > 0 && (
        <Section title="Links">
          <Content value={span.links} fold={140} />
        </Section>
      )}
      <Section title="Attributes" aside={`${String(Object.keys(span.attributes).length)}, as received`}>
        <Fold height={260}>
          <JsonTree value={span.attributes} depth={1} />
        </Fold>
      </Section>
      <Section title="Recorded by">
        <Fold height={80}>
          <JsonTree value={{ [span.scope.name || 'unnamed']: span.scope.version || 'no version', ...span.resource }} depth={1} />
        </Fold>
      </Section>
      <div className="flex flex-wrap gap-2">
        <Button onClick={() => void copy(JSON.stringify(span, null, 2), 'JSON')}>
          <Copy aria-hidden className="size-3.5" /> JSON
        </Button>
        <Button onClick={() => void copy(`curl -s '${apiUrl('traces', span.trace_id, 'spans', span.span_id)}'`, 'Command')}>
          <Terminal aria-hidden className="size-3.5" /> curl
        </Button>
        <Button onClick={() => void copy(window.location.href, 'Link')}>
          <Link2 aria-hidden className="size-3.5" /> Link
        </Button>
        <span className="ml-auto self-center font-mono text-2xs text-faint">{span.span_id}</span>
      </div>
    </div>
  )
}
