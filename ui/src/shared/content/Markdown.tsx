/** Markdown as React elements. Links open elsewhere, images are named and never loaded. */
import { ImageOff } from 'lucide-react'
import type { ReactNode } from 'react'
import { memo, useMemo } from 'react'
import type { Block, Inline } from './markdown'
import { parseBlocks } from './markdown'

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => parseBlocks(text), [text])
  return <div className="flex flex-col gap-2 break-words">{blocks.map(block)}</div>
})

function block(b: Block, key: number): ReactNode {
  switch (b.kind) {
    case 'heading':
      return (
        // Trace content must not put headings into the page's own outline.
        <p key={key} className={b.level <= 2 ? 'pt-1 text-base font-semibold' : 'pt-1 font-semibold'}>
          {inlines(b.children)}
        </p>
      )
    case 'paragraph':
      return (
        <p key={key} className="whitespace-pre-line">
          {inlines(b.children)}
        </p>
      )
    case 'code':
      return (
        <pre key={key} tabIndex={0} className="overflow-x-auto rounded-md border border-line bg-raised px-3 py-2 font-mono text-xs">
          {b.text}
        </pre>
      )
    case 'quote':
      return (
        <blockquote key={key} className="flex flex-col gap-2 border-l-2 border-line-strong pl-3 text-muted">
          {b.children.map(block)}
        </blockquote>
      )
    case 'list': {
      const items = b.items.map((item, i) => (
        <li key={i}>
          <div className="flex flex-col gap-1">{item.map(block)}</div>
        </li>
      ))
      return b.ordered ? (
        <ol key={key} start={b.start} className="flex list-decimal flex-col gap-1 pl-5 marker:text-faint">
          {items}
        </ol>
      ) : (
        <ul key={key} className="flex list-disc flex-col gap-1 pl-5 marker:text-faint">
          {items}
        </ul>
      )
    }
    case 'table':
      return (
        <div key={key} className="overflow-x-auto" tabIndex={0}>
          <table className="border-collapse text-left text-xs">
            <thead>
              <tr>
                {b.head.map((cell, i) => (
                  <th key={i} className="border border-line bg-raised px-2 py-1 font-semibold">
                    {inlines(cell)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {b.rows.map((row, i) => (
                <tr key={i}>
                  {row.map((cell, j) => (
                    <td key={j} className="border border-line px-2 py-1 align-top">
                      {inlines(cell)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )
    case 'rule':
      return <hr key={key} className="border-line" />
  }
}

function inlines(pieces: Inline[]): ReactNode[] {
  return pieces.map((piece, key) => {
    switch (piece.kind) {
      case 'text':
        return piece.text
      case 'code':
        return (
          <code key={key} className="rounded bg-neutral-soft px-1 py-px font-mono text-[0.92em]">
            {piece.text}
          </code>
        )
      case 'strong':
        return (
          <strong key={key} className="font-semibold">
            {inlines(piece.children)}
          </strong>
        )
      case 'em':
        return <em key={key}>{inlines(piece.children)}</em>
      case 'del':
        return <del key={key}>{inlines(piece.children)}</del>
      case 'link':
        return (
          <a
            key={key}
            href={piece.href}
            target="_blank"
            rel="noopener noreferrer nofollow"
            title={piece.href}
            className="text-accent underline decoration-line-strong underline-offset-2 hover:decoration-accent"
          >
            {inlines(piece.children)}
          </a>
        )
      case 'image':
        return (
          <span key={key} title={`Not loaded: ${piece.src.slice(0, 200)}`} className="inline-flex items-center gap-1 rounded bg-neutral-soft px-1.5 text-2xs text-muted">
            <ImageOff aria-hidden className="size-3" />
            {piece.alt || 'image'}
          </span>
        )
    }
  })
}
