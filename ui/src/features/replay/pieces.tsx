/** What every page about replays is made of. */
import clsx from 'clsx'
import type { ReactNode } from 'react'
import { createContext, useContext, useMemo } from 'react'
import { useTraceSummary } from '@/api/queries'
import type { Piece, Replay, ReplayStep } from '@/api/types'
import { agentColour, nameColour, USER } from '@/shared/palette'
import type { Tone } from '@/shared/ui/basics'
import { Avatar, Badge } from '@/shared/ui/basics'
import { sideOf } from './words'

export type Tier = 'restored' | 'recorded' | 'live'

export const TIERS: readonly { tier: Tier; tone: Tone; dot: string; means: string }[] = [
  { tier: 'restored', tone: 'neutral', dot: 'bg-faint', means: 'came with the checkpoint’s state' },
  { tier: 'recorded', tone: 'accent', dot: 'bg-accent', means: 'answered from the original run: its input is unchanged' },
  { tier: 'live', tone: 'warn', dot: 'bg-warn', means: 'executed again' },
]

const STOPPED = { tier: 'stopped', tone: 'danger', means: 'had no recorded answer and might not run' } as const

export function TierBadge({ tier }: { tier: ReplayStep['tier'] }) {
  const known = tier === 'stopped' ? STOPPED : TIERS.find((t) => t.tier === tier)
  return (
    <Badge tone={known?.tone} title={known?.means}>
      {tier}
    </Badge>
  )
}

/** How many calls were restored, recorded and live: as a bar, and in words. */
export function TierBar({ counts }: { counts: Replay['counts'] }) {
  const total = counts.restored + counts.recorded + counts.live
  return (
    <div className="flex min-w-0 flex-col gap-1.5">
      <div aria-hidden className="flex h-2 w-full gap-px overflow-hidden rounded-full bg-line">
        {total > 0 && TIERS.map(({ tier, dot }) => counts[tier] > 0 && <span key={tier} className={dot} style={{ width: `${String((counts[tier] / total) * 100)}%` }} />)}
      </div>
      <dl className="tabular flex flex-wrap gap-x-4 gap-y-0.5 text-xs">
        {TIERS.map(({ tier, dot, means }) => (
          <div key={tier} className="flex items-center gap-1.5" title={means}>
            <span aria-hidden className={clsx('size-2 rounded-full', dot)} />
            <dt className="text-muted">{tier}</dt>
            <dd className="font-medium">{counts[tier]}</dd>
          </div>
        ))}
      </dl>
    </div>
  )
}

const STATUS: Record<Replay['status'], { tone: Tone; name: string }> = {
  queued: { tone: 'neutral', name: 'Waiting' },
  claimed: { tone: 'accent', name: 'Starting' },
  running: { tone: 'accent', name: 'Running' },
  succeeded: { tone: 'ok', name: 'Done' },
  failed: { tone: 'danger', name: 'Failed' },
  stopped: { tone: 'warn', name: 'Stopped' },
  cancelled: { tone: 'neutral', name: 'Cancelled' },
  simulated: { tone: 'accent', name: 'Simulated' },
}

export function ReplayStatus({ status }: { status: Replay['status'] }) {
  const { tone, name } = STATUS[status]
  return (
    <Badge tone={tone}>
      {(status === 'running' || status === 'claimed') && <span className="pulse-dot size-1.5 rounded-full bg-accent" />}
      {name}
    </Badge>
  )
}

const Colours = createContext<(name: string) => string>(nameColour)

/** Gives agents the colours they have on a trace's own page; those it lacks one of their own. */
export function ColouredAs({ traceId, children }: { traceId: string; children: ReactNode }) {
  const agents = useTraceSummary(traceId).data?.agents
  const colourOf = useMemo(() => {
    const known = new Map(agents?.map((name, i) => [name, agentColour(i)]))
    return (name: string) => known.get(name) ?? (name === USER ? agentColour(-1) : nameColour(name))
  }, [agents])
  return <Colours value={colourOf}>{children}</Colours>
}

export function AgentName({ name }: { name: string }) {
  const colourOf = useContext(Colours)
  return (
    <span className="inline-flex min-w-0 items-center gap-1.5 font-medium">
      <Avatar name={name} colour={colourOf(name)} size={16} />
      <span className="truncate">{name}</span>
    </span>
  )
}

/** One side of a compared text; what only it has is marked, never by colour alone. */
export function Words({ pieces, side }: { pieces: readonly Piece[]; side: 'left' | 'right' }) {
  return (
    <p className="break-words whitespace-pre-wrap">
      {sideOf(pieces, side).map((piece, i) => {
        if (piece.op === 'same') return <span key={i}>{piece.text}</span>
        if (piece.op === 'removed') return <del key={i} className="rounded-sm bg-danger-soft text-danger">{piece.text}</del>
        return <ins key={i} className="rounded-sm bg-ok-soft text-ok">{piece.text}</ins>
      })}
    </p>
  )
}

export function Note({ tone, children }: { tone: 'neutral' | 'danger' | 'warn' | 'accent'; children: ReactNode }) {
  const looks = { neutral: 'bg-neutral-soft text-text', danger: 'bg-danger-soft text-danger', warn: 'bg-warn-soft text-warn', accent: 'bg-info-soft text-text' }
  return (
    <div role={tone === 'danger' ? 'alert' : 'note'} className={clsx('rounded-lg px-3 py-2 break-words', looks[tone])}>
      {children}
    </div>
  )
}
