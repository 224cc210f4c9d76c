/** The right side: what is selected, or the outcome of the whole run. */
import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { IconButton } from '@/shared/ui/basics'
import { Panel, PanelTitle } from '@/shared/ui/Panel'
import { useTraceView } from './context'
import { AgentDetails } from './details/AgentDetails'
import { EdgeDetails } from './details/EdgeDetails'
import { MessageDetails } from './details/MessageDetails'
import { SpanDetails } from './details/SpanDetails'
import { Summary } from './details/Summary'
import type { Selection } from './model'
import { NOTHING } from './model'

const TITLES: Record<Selection['kind'], string> = {
  none: 'What happened',
  span: 'Span',
  message: 'Message',
  agent: 'Agent',
  edge: 'Conversation',
}

export function Inspector() {
  const { selection, select } = useTraceView()
  return (
    <Panel
      label="Details"
      bar={
        <>
          <PanelTitle>{TITLES[selection.kind]}</PanelTitle>
          {selection.kind !== 'none' && (
            <IconButton label="Close (Esc)" className="ml-auto" onClick={() => { select(NOTHING) }}>
              <X className="size-4" />
            </IconButton>
          )}
        </>
      }
    >
      <div key={JSON.stringify(selection)} className="absolute inset-0 overflow-y-auto" tabIndex={0} role="group" aria-label={TITLES[selection.kind]}>
        <div className="p-4">{body(selection)}</div>
      </div>
    </Panel>
  )
}

function body(selection: Selection): ReactNode {
  switch (selection.kind) {
    case 'none':
      return <Summary />
    case 'span':
      return <SpanDetails spanId={selection.spanId} />
    case 'message':
      return <MessageDetails messageId={selection.messageId} />
    case 'agent':
      return <AgentDetails name={selection.name} />
    case 'edge':
      return <EdgeDetails sender={selection.sender} recipient={selection.recipient} />
  }
}
