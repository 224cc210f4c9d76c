/** What the list says before the first trace: the three lines that send one. */
import { Check, Copy } from 'lucide-react'
import { serverRoot, useHealth } from '@/api/queries'
import { copy } from '@/shared/clipboard'
import { Button } from '@/shared/ui/basics'

export function Teach() {
  const health = useHealth()
  const root = serverRoot()
  return (
    <div className="mx-auto flex max-w-2xl flex-col gap-5 px-6 py-14">
      <div>
        <h2 className="text-lg font-semibold">Waiting for the first trace</h2>
        <p className="mt-1 text-base text-muted">
          Add this before your agents start. Every LangGraph, AutoGen and CrewAI run in the process then shows up here, while it runs.
        </p>
      </div>
      <div className="flex flex-col gap-2">
        <Snippet text="pip install agenttrace-langgraph   # or agenttrace-autogen, agenttrace-crewai" />
        <Snippet text={'import agenttrace\nagenttrace.instrument()'} />
      </div>
      <div className="grid gap-4 sm:grid-cols-2">
        <div>
          <h3 className="mb-1.5 font-semibold">Without changing a line</h3>
          <Snippet text="agenttrace run app.py" />
        </div>
        <div>
          <h3 className="mb-1.5 font-semibold">With any OpenTelemetry exporter, from anywhere</h3>
          <Snippet text={`OTEL_EXPORTER_OTLP_ENDPOINT=${root}`} />
        </div>
      </div>
      <p className="flex items-center gap-2 text-muted">
        {health.data ? (
          <>
            <Check aria-hidden className="size-4 text-ok" /> The server (version {health.data.version}) is listening; no trace has arrived yet. Nothing
            after a run? Ask <code className="font-mono text-xs text-text">agenttrace doctor</code>.
          </>
        ) : (
          'Asking the server …'
        )}
      </p>
    </div>
  )
}

function Snippet({ text }: { text: string }) {
  return (
    <div className="relative">
      <pre tabIndex={0} className="overflow-x-auto rounded-lg border border-line bg-panel px-4 py-3 pr-20 font-mono text-xs leading-5">
        {text}
      </pre>
      <Button look="plain" className="absolute top-1.5 right-1.5" onClick={() => void copy(text, 'Lines')}>
        <Copy aria-hidden className="size-3.5" /> Copy
      </Button>
    </div>
  )
}
