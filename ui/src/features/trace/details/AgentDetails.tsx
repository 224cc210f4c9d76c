/** One agent: its figures, its tools and models, what it heard and said. */
import { Link } from 'react-router'
import { ContentSection } from '@/shared/content/Content'
import { cost, count, duration, plural } from '@/shared/format'
import { USER } from '@/shared/palette'
import { agentPage } from '@/shared/ui/AgentName'
import { Badge, Button, linkLook } from '@/shared/ui/basics'
import { useTraceView } from '../context'
import { FailureCard } from '../failures/FailureCard'
import { AgentMark } from '../names'
import { Fact, Facts, MessageLine, Section } from './pieces'

const SHOWN = 200

export function AgentDetails({ name }: { name: string }) {
  const { data, reveal } = useTraceView()
  const agent = data.agents.find((a) => a.name === name)
  const node = data.graph.nodes.find((n) => n.name === name)
  const talk = data.messages.filter((m) => m.sender === name || m.recipient === name || m.audience.includes(name))
  const failures = data.failures.filter((f) => f.agent === name && f.shown)
  return (
    <div className="flex flex-col gap-4">
      <div className="flex items-center gap-2.5">
        <AgentMark name={name} size={26} />
        <div className="min-w-0">
          <h3 className="truncate text-base font-semibold">{name}</h3>
          <p className="text-xs text-muted">{name === USER && !agent ? 'Whoever started the run' : (agent?.framework ?? node?.framework ?? 'agent')}</p>
        </div>
      </div>
      {agent?.role && <ContentSection title="Role" text={agent.role} fold={120} />}
      {failures.map((failure) => (
        <FailureCard key={failure.annotation_id} failure={failure} />
      ))}
      <Facts>
        <Fact name="Messages">
          {node && `${count(node.messages_out)} sent, ${count(node.messages_in)} received`}
        </Fact>
        {agent && (
          <>
            <Fact name="Spans">
              {count(agent.spans)}
              {agent.errors > 0 && <span className="text-danger"> · {plural(agent.errors, 'error')}</span>}
            </Fact>
            <Fact name="At work">{agent.busy_ms > 0 && duration(agent.busy_ms * 1000)}</Fact>
            <Fact name="Tokens">{agent.tokens_in + agent.tokens_out > 0 && `${agent.tokens_in.toLocaleString()} in, ${agent.tokens_out.toLocaleString()} out`}</Fact>
            <Fact name="Cost">{agent.cost_usd === null ? null : cost(agent.cost_usd)}</Fact>
            <Fact name="Models">{agent.models.join(', ')}</Fact>
            <Fact name="Tools">
              {agent.tools.length > 0 && (
                <span className="flex flex-wrap gap-1">
                  {agent.tools.map((tool) => (
                    <Badge key={tool}>{tool}</Badge>
                  ))}
                </span>
              )}
            </Fact>
          </>
        )}
        {node && node.name !== USER && (
          <Fact name="Centrality">
            <span title="How much of the talk goes through it (PageRank), and how often it lies between others (betweenness)">
              {node.centrality.pagerank.toFixed(2)} rank, {node.centrality.betweenness.toFixed(2)} between
            </span>
          </Fact>
        )}
      </Facts>
      <div className="flex flex-wrap gap-2">
        <Button onClick={() => { reveal({ kind: 'agent', name }, 'transcript') }}>What it said and heard</Button>
        {agent && (
          <Link to={agentPage(name)} className={linkLook('plain')}>
            Across traces
          </Link>
        )}
      </div>
      {talk.length > 0 && (
        <Section title="Messages" aside={talk.length > SHOWN ? `the first ${String(SHOWN)} of ${talk.length.toLocaleString()}` : undefined}>
          <div className="-mx-2 flex flex-col">
            {talk.slice(0, SHOWN).map((m) => (
              <MessageLine key={m.message_id} message={m} way={m.sender === name ? 'out' : 'in'} />
            ))}
          </div>
        </Section>
      )}
    </div>
  )
}
