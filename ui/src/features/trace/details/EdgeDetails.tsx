/** All that one participant said to another. */
import { ArrowLeftRight, ArrowRight } from 'lucide-react'
import { count, plural } from '@/shared/format'
import { Button } from '@/shared/ui/basics'
import { useTraceView } from '../context'
import { messagesBetween } from '../model'
import { AgentLink } from '../names'
import { Fact, Facts, MessageLine, Section } from './pieces'

const SHOWN = 300

export function EdgeDetails({ sender, recipient }: { sender: string; recipient: string }) {
  const { data, select } = useTraceView()
  const messages = messagesBetween(data, sender, recipient)
  const edge = data.graph.edges.find((e) => e.sender === sender && e.recipient === recipient)
  const back = data.graph.edges.some((e) => e.sender === recipient && e.recipient === sender)
  return (
    <div className="flex flex-col gap-4">
      <div className="flex flex-wrap items-center gap-2 text-base">
        <AgentLink name={sender} />
        <ArrowRight aria-label="to" className="size-4 text-faint" />
        <AgentLink name={recipient} />
      </div>
      <Facts>
        <Fact name="Messages">{plural(messages.length, 'message')}</Fact>
        {edge && (
          <>
            <Fact name="Types">
              {Object.entries(edge.types)
                .map(([type, n]) => `${String(n)} ${type}`)
                .join(', ')}
            </Fact>
            <Fact name="Known from">{edge.provenance === 'observed' ? 'what was recorded' : edge.provenance === 'inferred' ? 'how the spans nest' : 'both recording and nesting'}</Fact>
            <Fact name="Failed">{edge.errors > 0 && <span className="text-danger">{count(edge.errors)}</span>}</Fact>
            <Fact name="Tokens">{edge.tokens > 0 && count(edge.tokens)}</Fact>
          </>
        )}
      </Facts>
      {back && sender !== recipient && (
        <div>
          <Button onClick={() => { select({ kind: 'edge', sender: recipient, recipient: sender }) }}>
            <ArrowLeftRight aria-hidden className="size-3.5" /> The other way
          </Button>
        </div>
      )}
      <Section title="In order" aside={messages.length > SHOWN ? `the first ${String(SHOWN)}` : undefined}>
        <div className="-mx-2 flex flex-col">
          {messages.slice(0, SHOWN).map((m) => (
            <MessageLine key={m.message_id} message={m} />
          ))}
        </div>
      </Section>
    </div>
  )
}
