/** One message: who to whom, why, what it says, what came of it. */
import { ArrowRight, Copy, Link2, RotateCcw } from 'lucide-react'
import { Link } from 'react-router'
import { copy } from '@/shared/clipboard'
import { ContentSection } from '@/shared/content/Content'
import { moment, offset } from '@/shared/format'
import { Button, linkLook } from '@/shared/ui/basics'
import { EmptyState } from '@/shared/ui/states'
import { useTraceView } from '../context'
import { FailureCard } from '../failures/FailureCard'
import { AgentLink, InferredBadge, TypeBadge } from '../names'
import { Fact, Facts, MessageLine, Section } from './pieces'

export function MessageDetails({ messageId }: { messageId: string }) {
  const { data, select } = useTraceView()
  const message = data.messageOf.get(messageId)
  if (!message) {
    return (
      <EmptyState title="No such message in this trace">
        <p>It may have been renamed by a later analysis. The message sequence has all of them.</p>
      </EmptyState>
    )
  }
  const cause = message.caused_by ? data.messageOf.get(message.caused_by) : undefined
  const effects = data.messages.filter((m) => m.caused_by === message.message_id)
  const failures = data.failuresOfMessage.get(message.message_id) ?? []
  const sentIn = data.rowOf.get(message.span_id)
  return (
    <div className="flex flex-col gap-4">
      <div className="flex flex-wrap items-center gap-2 text-base">
        <AgentLink name={message.sender} />
        <ArrowRight aria-label="to" className="size-4 text-faint" />
        <AgentLink name={message.recipient} />
        <TypeBadge type={message.type} />
        {message.provenance === 'inferred' && <InferredBadge confidence={message.confidence} />}
      </div>
      {failures.map((failure) => (
        <FailureCard key={failure.annotation_id} failure={failure} linked={false} />
      ))}
      {message.content ? <ContentSection title="Content" text={message.content} fold={420} /> : <p className="text-faint">This message has no content.</p>}
      <Facts>
        <Fact name="Sent">
          {offset(message.atUs)} <span className="font-normal text-muted">· {moment(Date.parse(message.sent_at))}</span>
        </Fact>
        <Fact name="During">
          {sentIn !== undefined && (
            <button type="button" onClick={() => { select({ kind: 'span', spanId: message.span_id }) }} className="text-left text-accent hover:underline">
              {data.skeleton.names[data.skeleton.name[sentIn] ?? -1]}
            </button>
          )}
        </Fact>
        <Fact name="Heard by">{message.audience.filter((name) => name !== message.recipient).join(', ')}</Fact>
        <Fact name="Tokens">{message.tokens?.toLocaleString()}</Fact>
      </Facts>
      {cause && (
        <Section title="Because of">
          <MessageLine message={cause} />
        </Section>
      )}
      {effects.length > 0 && (
        <Section title="Led to">
          {effects.map((m) => (
            <MessageLine key={m.message_id} message={m} />
          ))}
        </Section>
      )}
      <div className="flex flex-wrap gap-2">
        {message.checkpoint_id !== null && (
          <Link to={`/traces/${data.summary.trace_id}/replay?message=${encodeURIComponent(message.message_id)}`} className={linkLook('solid')}>
            <RotateCcw aria-hidden className="size-3.5" /> Replay from before this
          </Link>
        )}
        <Button onClick={() => void copy(message.content, 'Content')}>
          <Copy aria-hidden className="size-3.5" /> Content
        </Button>
        <Button
          onClick={() => void copy(JSON.stringify({ ...message, atUs: undefined, index: undefined }, null, 2), 'JSON')}
        >
          <Copy aria-hidden className="size-3.5" /> JSON
        </Button>
        <Button onClick={() => void copy(window.location.href, 'Link')}>
          <Link2 aria-hidden className="size-3.5" /> Link
        </Button>
      </div>
    </div>
  )
}
