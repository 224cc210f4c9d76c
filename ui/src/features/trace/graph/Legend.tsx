/** What the lines and marks of the graph mean; only those that are in it. */
import type { GraphEdge, GraphNode, MessageType } from '@/api/types'
import { mainType, typeColour } from './model'

const ORDER: readonly MessageType[] = ['task', 'result', 'handoff', 'question', 'answer', 'broadcast']

export function Legend({ edges, nodes }: { edges: readonly GraphEdge[]; nodes: readonly GraphNode[] }) {
  const types = new Set(edges.filter((e) => !e.errors).map(mainType))
  const has = (test: (edge: GraphEdge) => boolean) => edges.some(test)
  return (
    <ul aria-label="Legend" className="flex flex-wrap items-center gap-x-3 gap-y-0.5 text-2xs text-muted">
      {ORDER.filter((type) => types.has(type)).map((type) => (
        <li key={type} className="flex items-center gap-1.5">
          <Line colour={typeColour(type)} /> {type}
        </li>
      ))}
      {has((e) => e.errors > 0) && (
        <li className="flex items-center gap-1.5">
          <Line colour="var(--danger)" /> failed
        </li>
      )}
      {has((e) => e.provenance === 'inferred') && (
        <li className="flex items-center gap-1.5">
          <Line colour="var(--muted)" dashed /> inferred
        </li>
      )}
      {nodes.some((n) => n.errors > 0) && (
        <li className="flex items-center gap-1.5">
          <svg width="12" height="12" aria-hidden>
            <circle cx="6" cy="6" r="5" fill="var(--danger-soft)" stroke="var(--danger)" strokeWidth="1.5" />
          </svg>
          errors
        </li>
      )}
      {nodes.some((n) => n.failures > 0) && (
        <li className="flex items-center gap-1.5">
          <svg width="13" height="12" aria-hidden>
            <path d="M6.5,1 L12,11 L1,11 Z" fill="var(--warn-soft)" stroke="var(--warn)" strokeWidth="1.5" strokeLinejoin="round" />
          </svg>
          failures
        </li>
      )}
    </ul>
  )
}

function Line({ colour, dashed = false }: { colour: string; dashed?: boolean }) {
  return (
    <svg width="18" height="6" aria-hidden>
      <line x1="0" x2="18" y1="3" y2="3" stroke={colour} strokeWidth="2.25" strokeDasharray={dashed ? '4 3' : undefined} />
    </svg>
  )
}
