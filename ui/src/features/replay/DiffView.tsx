/** Two runs side by side, message by message; what is the same on both sides is folded. */
import clsx from 'clsx'
import { ArrowRight, GitFork } from 'lucide-react'
import type { ReactNode } from 'react'
import { useMemo, useState } from 'react'
import { Link } from 'react-router'
import type { Diff, DiffRow, Figures } from '@/api/types'
import { Content } from '@/shared/content/Content'
import { codeOf, nameOf } from '@/shared/failureNames'
import { cost, count, duration, plural } from '@/shared/format'
import { Badge, Button } from '@/shared/ui/basics'
import { Card } from '@/shared/ui/Page'
import { EmptyState } from '@/shared/ui/states'
import type { Block } from './blocks'
import { blocksOf } from './blocks'
import { AgentName, Words } from './pieces'
import { compareWords } from './words'

const STEP = 200

export function DiffView({ diff, names }: { diff: Diff; names: { left: string; right: string } }) {
  return (
    <>
      <Card title="Output" aside={diff.outputs.same ? 'the same' : 'different'}>
        <Outputs diff={diff} names={names} />
      </Card>
      <div className="grid gap-5 lg:grid-cols-2">
        <Card title="Failures">
          <Failures diff={diff} />
        </Card>
        <Card title="What it took" flush>
          <Took diff={diff} names={names} />
        </Card>
      </div>
      <Card title="Messages" aside={verdict(diff)}>
        <Messages diff={diff} names={names} />
      </Card>
    </>
  )
}

function verdict(diff: Diff): string {
  if (diff.same) return 'no message differs'
  const parts = (['changed', 'added', 'removed'] as const).flatMap((change) => {
    const n = diff.counts[change] ?? 0
    return n ? [`${count(n)} ${change}`] : []
  })
  return parts.join(', ')
}

function Outputs({ diff, names }: { diff: Diff; names: { left: string; right: string } }) {
  const { left, right, same, words } = diff.outputs
  if (same) return left ? <Content text={left} fold={200} /> : <EmptyState title="Neither run has an output" />
  const pieces = words ?? compareWords(left ?? '', right ?? '')
  return (
    <div className="grid gap-4 md:grid-cols-2">
      <Side name={names.left}>{left === null ? <Nothing /> : <Words pieces={pieces} side="left" />}</Side>
      <Side name={names.right}>{right === null ? <Nothing /> : <Words pieces={pieces} side="right" />}</Side>
    </div>
  )
}

function Side({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <h3 className="mb-1 text-2xs font-semibold text-muted">{name}</h3>
      {children}
    </div>
  )
}

function Nothing() {
  return <p className="text-faint italic">none</p>
}

function Failures({ diff }: { diff: Diff }) {
  const { failures_gained: gained, failures_lost: lost } = diff
  if (!gained.length && !lost.length) return <p className="text-muted">No failure gained, none lost.</p>
  const list = (title: string, tone: 'ok' | 'danger', failures: Diff['failures_gained'], traceId: string) =>
    failures.length > 0 && (
      <div>
        <Badge tone={tone}>{title}</Badge>
        <ul className="mt-1.5 flex flex-col gap-1">
          {failures.map((failure) => (
            <li key={failure.annotation_id} className="min-w-0">
              <Link to={`/traces/${traceId}?view=failures`} className="font-medium hover:text-accent">
                {codeOf(failure) && <span className="font-mono text-2xs text-muted">{codeOf(failure)} </span>}
                {nameOf(failure)}
              </Link>
              {failure.agent && <span className="text-muted"> · {failure.agent}</span>}
            </li>
          ))}
        </ul>
      </div>
    )
  return (
    <div className="flex flex-col gap-3">
      {list('gone', 'ok', lost, diff.left_trace_id)}
      {list('new', 'danger', gained, diff.right_trace_id)}
    </div>
  )
}

const ROWS: readonly { name: string; value: (f: Figures) => string }[] = [
  { name: 'Duration', value: (f) => duration(f.duration_ms * 1000) },
  { name: 'Messages', value: (f) => count(f.messages) },
  { name: 'Model calls', value: (f) => count(f.llm_calls) },
  { name: 'Tool calls', value: (f) => count(f.tool_calls) },
  { name: 'Tokens', value: (f) => count(f.tokens_in + f.tokens_out) },
  { name: 'Cost', value: (f) => cost(f.cost_usd) },
  { name: 'Errors', value: (f) => count(f.errors) },
]

function Took({ diff, names }: { diff: Diff; names: { left: string; right: string } }) {
  return (
    <table className="w-full text-xs" aria-label="What it took">
      <thead>
        <tr className="text-right text-muted">
          <td />
          <th scope="col" className="px-4 font-medium">
            {names.left}
          </th>
          <th scope="col" className="px-4 font-medium">
            {names.right}
          </th>
        </tr>
      </thead>
      <tbody>
        {ROWS.map(({ name, value }) => {
          const [left, right] = [value(diff.left), value(diff.right)]
          return (
            <tr key={name} className="tabular border-t border-line text-right">
              <th scope="row" className="h-7 px-4 text-left font-normal text-muted">
                {name}
              </th>
              <td className="px-4">{left}</td>
              <td className={clsx('px-4', left !== right && 'font-semibold')}>{right}</td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}

function Messages({ diff, names }: { diff: Diff; names: { left: string; right: string } }) {
  const blocks = useMemo(() => blocksOf(diff.rows), [diff.rows])
  const [limit, setLimit] = useState(STEP)
  if (!diff.rows.length) return <EmptyState title="Neither run has messages" />
  return (
    <div className="flex flex-col gap-2">
      <div className="hidden grid-cols-2 gap-4 md:grid">
        <h3 className="text-2xs font-semibold text-muted">{names.left}</h3>
        <h3 className="text-2xs font-semibold text-muted">{names.right}</h3>
      </div>
      <ol className="flex flex-col gap-2">
        {blocks.slice(0, limit).map((block) => (
          <BlockView key={block.from} block={block} diff={diff} />
        ))}
      </ol>
      {blocks.length > limit && (
        <Button className="self-center" onClick={() => { setLimit(limit + STEP) }}>
          {count(blocks.length - limit)} more
        </Button>
      )}
    </div>
  )
}

function BlockView({ block, diff }: { block: Block; diff: Diff }) {
  const [open, setOpen] = useState(false)
  if (block.folded && !open) {
    return (
      <li>
        <button type="button" onClick={() => { setOpen(true) }} className="w-full rounded-md border border-dashed border-line py-1 text-center text-xs text-muted hover:bg-hover hover:text-text">
          {block.change === 'restored' ? `${plural(block.rows.length, 'message')} before the checkpoint` : `${plural(block.rows.length, 'message')} the same`}
        </button>
      </li>
    )
  }
  return (
    <>
      {block.rows.map((row, i) => (
        <Row key={block.from + i} row={row} first={block.from + i === diff.first_divergence} diff={diff} />
      ))}
    </>
  )
}

function Row({ row, first, diff }: { row: DiffRow; first: boolean; diff: Diff }) {
  return (
    <li className={clsx('flex flex-col gap-1', first && 'border-t-2 border-warn pt-2')}>
      {first && (
        <span className="flex items-center gap-1.5 text-xs font-semibold text-warn">
          <GitFork aria-hidden className="size-3.5" /> Here the two part
        </span>
      )}
      <div className="grid gap-2 md:grid-cols-2 md:gap-4">
        <Said row={row} side="left" traceId={diff.left_trace_id} />
        <Said row={row} side="right" traceId={diff.right_trace_id} />
      </div>
    </li>
  )
}

const LOOKS: Record<DiffRow['change'], string> = {
  same: 'border-line',
  restored: 'border-line opacity-80',
  changed: 'border-warn',
  removed: 'border-danger',
  added: 'border-ok',
}

function Said({ row, side, traceId }: { row: DiffRow; side: 'left' | 'right'; traceId: string }) {
  const said = row[side]
  if (!said) return <div aria-hidden className="hidden rounded-lg border border-dashed border-line bg-raised md:block" />
  return (
    <article aria-label={`${row.change}: ${said.sender} to ${said.recipient}`} className={clsx('min-w-0 rounded-lg border-l-2 border-y border-r bg-panel px-3 py-2', LOOKS[row.change])}>
      <div className="flex min-w-0 flex-wrap items-center gap-1.5 text-xs">
        <AgentName name={said.sender} />
        <ArrowRight aria-label="to" className="size-3 shrink-0 text-faint" />
        <AgentName name={said.recipient} />
        <span className="text-2xs text-muted">{said.type}</span>
        {row.change !== 'same' && <Badge tone={row.change === 'removed' ? 'danger' : row.change === 'added' ? 'ok' : row.change === 'changed' ? 'warn' : 'neutral'}>{row.change}</Badge>}
        <Link to={`/traces/${traceId}?message=${encodeURIComponent(said.message_id)}`} className="ml-auto text-2xs text-accent hover:underline">
          Show
        </Link>
      </div>
      {row.change === 'changed' && row.words ? (
        <div className="mt-1">
          <Words pieces={row.words} side={side} />
        </div>
      ) : (
        said.content && (
          <div className="mt-1">
            <Content text={said.content} fold={160} />
          </div>
        )
      )}
    </article>
  )
}
