/** Markdown to a tree of plain values; the view makes elements of them, so nothing becomes markup. */

export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'strong' | 'em' | 'del'; children: Inline[] }
  | { kind: 'link'; href: string; children: Inline[] }
  | { kind: 'image'; alt: string; src: string }

export type Block =
  | { kind: 'heading'; level: number; children: Inline[] }
  | { kind: 'paragraph'; children: Inline[] }
  | { kind: 'code'; language: string; text: string }
  | { kind: 'quote'; children: Block[] }
  | { kind: 'list'; ordered: boolean; start: number; items: Block[][] }
  | { kind: 'table'; head: Inline[][]; rows: Inline[][][] }
  | { kind: 'rule' }

const FENCE = /^ {0,3}(```+|~~~+)\s*([\w+-]*)/
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/
const TABLE_RULE = /^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$/
const DEPTH = 8

/** Whether the text looks as if its author meant Markdown. */
export function looksLikeMarkdown(text: string): boolean {
  return /(^|\n)(#{1,6}\s|\s{0,3}[-*+]\s|\s{0,3}\d+[.)]\s|```|>\s|\|.+\|)|\*\*\S|`[^`\n]+`|\[[^\]\n]+\]\([^)\n]+\)/.test(text)
}

/** Blocks of the text. Linear in its length, apart from nesting, which ends at eight levels. */
export function parseBlocks(text: string, depth = 0): Block[] {
  const lines = text.replace(/\r\n?/g, '\n').split('\n')
  const blocks: Block[] = []
  let paragraph: string[] = []
  const flush = () => {
    if (paragraph.length) blocks.push({ kind: 'paragraph', children: parseInline(paragraph.join('\n')) })
    paragraph = []
  }
  let i = 0
  while (i < lines.length) {
    const line = lines[i] ?? ''
    const fence = FENCE.exec(line)
    if (fence?.[1]) {
      flush()
      const close = fence[1]
      const body: string[] = []
      for (i++; i < lines.length && !(lines[i] ?? '').trimStart().startsWith(close); i++) body.push(lines[i] ?? '')
      i++
      blocks.push({ kind: 'code', language: fence[2] ?? '', text: body.join('\n') })
      continue
    }
    if (!line.trim()) {
      flush()
      i++
      continue
    }
    const heading = HEADING.exec(line)
    if (heading) {
      flush()
      blocks.push({ kind: 'heading', level: heading[1]?.length ?? 1, children: parseInline(heading[2] ?? '') })
      i++
      continue
    }
    if (RULE.test(line)) {
      flush()
      blocks.push({ kind: 'rule' })
      i++
      continue
    }
    if (/^\s{0,3}>/.test(line) && depth < DEPTH) {
      flush()
      const body: string[] = []
      for (; i < lines.length && /^\s{0,3}>/.test(lines[i] ?? ''); i++) body.push((lines[i] ?? '').replace(/^\s{0,3}> ?/, ''))
      blocks.push({ kind: 'quote', children: parseBlocks(body.join('\n'), depth + 1) })
      continue
    }
    if (ITEM.test(line) && depth < DEPTH) {
      flush()
      const [list, next] = parseList(lines, i, depth)
      blocks.push(list)
      i = next
      continue
    }
    if (line.includes('|') && TABLE_RULE.test(lines[i + 1] ?? '')) {
      flush()
      const head = cells(line)
      const rows: Inline[][][] = []
      for (i += 2; i < lines.length && (lines[i] ?? '').includes('|'); i++) {
        const row = cells(lines[i] ?? '')
        rows.push(head.map((_, column) => row[column] ?? []))
      }
      blocks.push({ kind: 'table', head, rows })
      continue
    }
    paragraph.push(line)
    i++
  }
  flush()
  return blocks
}

function parseList(lines: string[], from: number, depth: number): [Block, number] {
  const first = ITEM.exec(lines[from] ?? '')
  const indent = first?.[1]?.length ?? 0
  const ordered = /\d/.test(first?.[2] ?? '')
  const items: string[][] = []
  let i = from
  for (; i < lines.length; i++) {
    const line = lines[i] ?? ''
    const item = ITEM.exec(line)
    const current = items[items.length - 1]
    if (item && (item[1]?.length ?? 0) <= indent + 1) {
      if (/\d/.test(item[2] ?? '') !== ordered || (item[1]?.length ?? 0) < indent) break
      items.push([item[3] ?? ''])
    } else if (line.trim() === '') {
      const following = lines[i + 1] ?? ''
      if (!ITEM.test(following) && !/^\s{2,}\S/.test(following)) break
      current?.push('')
    } else if (/^\s{2,}/.test(line) && current) {
      current.push(line.slice(Math.min(indent + 2, line.length - line.trimStart().length)))
    } else break
  }
  return [
    {
      kind: 'list',
      ordered,
      start: Number.parseInt(first?.[2] ?? '1', 10) || 1,
      items: items.map((body) => parseBlocks(body.join('\n'), depth + 1)),
    },
    i,
  ]
}

function cells(line: string): Inline[][] {
  return line
    .trim()
    .replace(/^\||\|$/g, '')
    .split('|')
    .map((cell) => parseInline(cell.trim()))
}

const OPENERS = /[`*_~[!<h\\]/

/** Inline pieces of one block. */
export function parseInline(text: string, depth = 0): Inline[] {
  const out: Inline[] = []
  let plain = ''
  const push = (piece: Inline) => {
    if (plain) out.push({ kind: 'text', text: plain })
    plain = ''
    out.push(piece)
  }
  let i = 0
  while (i < text.length) {
    const rest = text.charAt(i)
    if (!OPENERS.test(rest) || depth > DEPTH) {
      plain += rest
      i++
      continue
    }
    const found = inlineAt(text, i, depth)
    if (!found) {
      plain += rest
      i++
    } else {
      if (found.piece) push(found.piece)
      else plain += text.charAt(i + 1)
      i = found.end
    }
  }
  if (plain) out.push({ kind: 'text', text: plain })
  return out
}

/** How far a closing mark is looked for: keeps pathological input linear. */
const REACH = 4000

function inlineAt(text: string, i: number, depth: number): { piece?: Inline; end: number } | null {
  const char = text.charAt(i)
  const until = (mark: string, from: number) => {
    const at = text.slice(from, from + REACH).indexOf(mark)
    return at < 0 ? -1 : from + at
  }
  if (char === '\\') return /[\\`*_{}[\]()#+\-.!|>~]/.test(text.charAt(i + 1)) ? { end: i + 2 } : null
  if (char === '`') {
    let ticks = 1
    while (text.charAt(i + ticks) === '`') ticks++
    const close = until('`'.repeat(ticks), i + ticks)
    if (close < 0) return null
    return { piece: { kind: 'code', text: text.slice(i + ticks, close).trim() }, end: close + ticks }
  }
  if (char === '*' || char === '_' || char === '~') {
    const double = text.charAt(i + 1) === char
    if (char === '~' && !double) return null
    const mark = double ? char + char : char
    const before = text.charAt(i - 1)
    const start = i + mark.length
    if (/\s|^$/.test(text.charAt(start)) || (char === '_' && /\w/.test(before))) return null
    const close = until(mark, start + 1)
    if (close < 0 || /\s/.test(text.charAt(close - 1))) return null
    if (char === '_' && /\w/.test(text.charAt(close + mark.length))) return null
    const kind = char === '~' ? 'del' : double ? 'strong' : 'em'
    return { piece: { kind, children: parseInline(text.slice(start, close), depth + 1) }, end: close + mark.length }
  }
  if (char === '[' || (char === '!' && text.charAt(i + 1) === '[')) {
    const image = char === '!'
    const open = i + (image ? 2 : 1)
    const middle = until('](', open)
    if (middle < 0) return null
    const label = text.slice(open, middle)
    if (label.includes('\n\n') || (!image && label.includes('['))) return null
    const close = until(')', middle + 2)
    if (close < 0) return null
    const target = text.slice(middle + 2, close).trim().split(/\s/)[0] ?? ''
    if (image) return { piece: { kind: 'image', alt: label, src: target }, end: close + 1 }
    const href = safeHref(target)
    const children = parseInline(label, depth + 1)
    return { piece: href ? { kind: 'link', href, children } : { kind: 'text', text: label }, end: close + 1 }
  }
  if (char === 'h' || char === '<') {
    const match = /^<?(https?:\/\/[^\s<>"'`]{1,2000})>?/.exec(text.slice(i, i + REACH))
    const raw = match?.[1]
    if (!match || !raw || /\w/.test(text.charAt(i - 1))) return null
    const url = raw.replace(/[).,;:!?\]]+$/, '')
    const href = safeHref(url)
    if (!href) return null
    const bracketed = char === '<' && match[0].endsWith('>')
    if (char === '<' && !bracketed) return null
    return {
      piece: { kind: 'link', href, children: [{ kind: 'text', text: url }] },
      end: i + (bracketed ? match[0].length : url.length),
    }
  }
  return null
}

/** The address if it is one a reader may follow: http, https or mailto; else null. */
export function safeHref(target: string): string | null {
  try {
    const url = new URL(target)
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null
  } catch {
    return null
  }
}
