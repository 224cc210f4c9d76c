/** Whatever an agent read or wrote, shown as what it is; never as markup. */
import clsx from 'clsx'
import { FileQuestion, Wrench } from 'lucide-react'
import { useLayoutEffect, useMemo, useRef, useState } from 'react'
import { copy } from '../clipboard'
import { bytes } from '../format'
import { JsonTree } from './JsonTree'
import { Markdown } from './Markdown'
import type { ChatMessage, Part } from './model'
import { classify, classifyValue } from './model'

export type Mode = 'auto' | 'raw'

/** A text or value, with a fold when it is tall. `fold` is in pixels; 0 never folds. */
export function Content({ text, value, fold = 320, mode = 'auto' }: { text?: string | null; value?: unknown; fold?: number; mode?: Mode }) {
  const content = useMemo(() => (value === undefined ? classify(text) : classifyValue(value)), [text, value])
  const raw = text ?? (typeof value === 'string' ? value : JSON.stringify(value, null, 2))
  const body = () => {
    if (content.kind === 'empty') return <span className="text-faint italic">empty</span>
    if (mode === 'raw') return <Raw text={pretty(raw)} />
    switch (content.kind) {
      case 'chat':
        return <Chat messages={content.messages} />
      case 'json':
        return <JsonTree value={content.value} />
      case 'markdown':
        return <Markdown text={content.text} />
      case 'blob':
        return <Blob media={content.media} size={content.size} />
      case 'text':
        return <p className="break-words whitespace-pre-wrap">{content.text}</p>
    }
  }
  return fold ? <Fold height={fold}>{body()}</Fold> : body()
}

function pretty(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' ? JSON.stringify(value, null, 2) : text
  } catch {
    return text
  }
}

function Raw({ text }: { text: string }) {
  return <pre className="font-mono text-xs break-words whitespace-pre-wrap">{text}</pre>
}

/** Cuts what is taller than `height` and offers the rest. */
export function Fold({ height, children }: { height: number; children: React.ReactNode }) {
  const ref = useRef<HTMLDivElement>(null)
  const [tall, setTall] = useState(false)
  const [open, setOpen] = useState(false)
  useLayoutEffect(() => {
    const inner = ref.current?.firstElementChild
    if (!inner) return
    const measure = () => { setTall(inner.scrollHeight > height + 80) }
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(inner)
    return () => { observer.disconnect() }
  }, [height])
  const cut = tall && !open
  return (
    <div>
      <div
        ref={ref}
        className={clsx(cut && 'overflow-hidden [mask-image:linear-gradient(to_bottom,black_calc(100%-3rem),transparent)]')}
        style={cut ? { maxHeight: height } : undefined}
      >
        <div>{children}</div>
      </div>
      {tall && (
        <button type="button" onClick={() => { setOpen(!open) }} className="mt-1 text-xs font-medium text-accent hover:underline">
          {open ? 'Show less' : 'Show all'}
        </button>
      )}
    </div>
  )
}

function Blob({ media, size }: { media: string; size: number }) {
  return (
    <span className="inline-flex items-center gap-1.5 rounded bg-neutral-soft px-2 py-1 text-xs text-muted">
      <FileQuestion aria-hidden className="size-3.5" />
      {media}, {bytes(size)}, not shown
    </span>
  )
}

const ROLE_COLOURS: Record<string, string> = {
  system: 'var(--faint)',
  user: 'var(--agent-0)',
  assistant: 'var(--agent-4)',
  tool: 'var(--agent-2)',
}

const SHOWN_MESSAGES = 40

function Chat({ messages }: { messages: ChatMessage[] }) {
  const [all, setAll] = useState(false)
  const hidden = all ? 0 : Math.max(0, messages.length - SHOWN_MESSAGES)
  return (
    <div className="flex flex-col gap-2">
      {hidden > 0 && (
        <button type="button" onClick={() => { setAll(true) }} className="self-start text-xs font-medium text-accent hover:underline">
          {hidden} earlier messages
        </button>
      )}
      {messages.slice(hidden).map((message, i) => (
        <div key={i} className="border-l-2 pl-2.5" style={{ borderColor: ROLE_COLOURS[message.role] ?? 'var(--line-strong)' }}>
          <div className="mb-0.5 text-2xs font-semibold" style={{ color: ROLE_COLOURS[message.role] ?? 'var(--muted)' }}>
            {message.role}
            {message.name && <span className="font-normal text-faint"> · {message.name}</span>}
          </div>
          <div className="flex flex-col gap-1.5">
            {message.parts.length === 0 && <span className="text-faint italic">no content</span>}
            {message.parts.map((part, j) => (
              <ChatPart key={j} part={part} />
            ))}
          </div>
        </div>
      ))}
    </div>
  )
}

function ChatPart({ part }: { part: Part }) {
  switch (part.kind) {
    case 'text':
      return <Content text={part.text} fold={0} />
    case 'reasoning':
      return (
        <div className="text-muted italic">
          <Markdown text={part.text} />
        </div>
      )
    case 'call':
      return (
        <div className="rounded-md border border-line bg-raised px-2 py-1.5">
          <div className="mb-0.5 flex items-center gap-1.5 font-mono text-xs font-medium">
            <Wrench aria-hidden className="size-3 text-[var(--agent-2)]" />
            {part.name}
          </div>
          <JsonTree value={part.arguments} />
        </div>
      )
    case 'result':
      return <Content value={part.value} fold={0} />
    case 'blob':
      return <Blob media={part.media} size={part.size} />
    case 'data':
      return <JsonTree value={part.value} />
  }
}

/** A heading with copy and a choice between rendered and raw, over a content. */
export function ContentSection({ title, text, fold }: { title: string; text: string | null; fold?: number }) {
  const [mode, setMode] = useState<Mode>('auto')
  if (text === null || text === '') return null
  return (
    <section aria-label={title}>
      <div className="mb-1.5 flex items-center gap-2">
        <h3 className="text-xs font-semibold text-muted">{title}</h3>
        <span className="text-2xs text-faint">{bytes(text.length)}</span>
        <span className="ml-auto flex gap-2 text-2xs font-medium">
          <button
            type="button"
            aria-pressed={mode === 'raw'}
            onClick={() => { setMode(mode === 'raw' ? 'auto' : 'raw') }}
            className="text-faint hover:text-text"
          >
            {mode === 'raw' ? 'Rendered' : 'Raw'}
          </button>
          <button type="button" onClick={() => void copy(text, title)} className="text-faint hover:text-text">
            Copy
          </button>
        </span>
      </div>
      <div className="rounded-lg border border-line bg-panel px-3 py-2">
        <Content text={text} fold={fold} mode={mode} />
      </div>
    </section>
  )
}
