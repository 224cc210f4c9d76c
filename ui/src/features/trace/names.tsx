/** How agents, kinds and types are written everywhere on this page. */
import { ArrowLeftRight, Bot, Database, Sparkles, Square, UserRound, Workflow, Wrench } from 'lucide-react'
import { kindColour, USER } from '@/shared/palette'
import { Avatar, Badge } from '@/shared/ui/basics'
import { useTraceView } from './context'
import { typeColour } from './graph/model'
import type { MessageType } from '@/api/types'

export function AgentMark({ name, size = 18 }: { name: string; size?: number }) {
  const { data } = useTraceView()
  if (name === USER) return <UserRound aria-hidden className="shrink-0 text-muted" style={{ width: size - 2, height: size - 2 }} />
  return <Avatar name={name} colour={data.colourOf(name)} size={size} />
}

/** An agent's name that selects the agent. */
export function AgentLink({ name, plain = false }: { name: string; plain?: boolean }) {
  const { select } = useTraceView()
  return (
    <button type="button" title={name} onClick={() => { select({ kind: 'agent', name }) }} className="inline-flex max-w-full min-w-0 items-center gap-1.5 rounded font-medium hover:underline">
      {!plain && <AgentMark name={name} />}
      <span className="truncate">{name}</span>
    </button>
  )
}

const KIND_ICONS = { workflow: Workflow, agent: Bot, llm: Sparkles, tool: Wrench, retriever: Database, handoff: ArrowLeftRight, other: Square } as const

const KIND_NAMES: Record<string, string> = { llm: 'model call', other: 'step' }

export function kindName(kind: string): string {
  return KIND_NAMES[kind] ?? kind
}

export function KindIcon({ kind }: { kind: string }) {
  const Icon = KIND_ICONS[kind as keyof typeof KIND_ICONS] ?? Square
  return <Icon role="img" aria-label={kindName(kind)} className="size-4 shrink-0" style={{ color: kindColour(kind) }} strokeWidth={1.75} />
}

export function TypeBadge({ type }: { type: MessageType }) {
  return (
    <span className="inline-flex shrink-0 items-center gap-1 text-2xs font-medium text-muted">
      <span aria-hidden className="size-2 rounded-full" style={{ background: typeColour(type) }} />
      {type}
    </span>
  )
}

export function InferredBadge({ confidence }: { confidence: number }) {
  return (
    <Badge title={`Nobody recorded this message; it follows from how the spans nest (confidence ${String(Math.round(confidence * 100))} %)`}>
      <span aria-hidden className="w-3 border-t border-dashed border-current" /> inferred
    </Badge>
  )
}

