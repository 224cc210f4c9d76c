/** A run and the replays that came of it, over all generations. */
import clsx from 'clsx'
import { CornerDownRight } from 'lucide-react'
import { Link } from 'react-router'
import { useFamily } from '@/api/replays'
import { ago } from '@/shared/format'
import { micros } from '@/shared/time'
import { Badge } from '@/shared/ui/basics'
import { Card } from '@/shared/ui/Page'
import { generations } from './generations'

export function Lineage({ traceId, here }: { traceId: string; here: string | null }) {
  const family = useFamily(traceId)
  const rows = family.data ? generations(family.data.members) : []
  if (rows.length < 2) return null
  return (
    <Card title="Where it comes from">
      <ol className="flex flex-col gap-1 text-xs">
        {rows.map(({ member, depth }) => (
          <li key={member.trace_id} className="flex min-w-0 items-center gap-2" style={{ paddingLeft: depth * 18 }}>
            {depth > 0 && <CornerDownRight aria-hidden className="size-3.5 shrink-0 text-faint" />}
            <Link to={`/traces/${member.trace_id}`} className={clsx('min-w-0 truncate hover:text-accent', member.trace_id === here && 'font-semibold')}>
              {member.name || 'deleted'} <span className="font-mono text-2xs text-muted">{member.trace_id.slice(0, 8)}</span>
            </Link>
            {member.trace_id === here && <Badge tone="accent">this</Badge>}
            {member.replay_id && member.trace_id !== here && (
              <Link to={`/replays/${member.replay_id}`} className="text-accent hover:underline">
                replay
              </Link>
            )}
            {member.start_time && <span className="ml-auto shrink-0 text-faint">{ago(micros(member.start_time) / 1000)}</span>}
          </li>
        ))}
      </ol>
    </Card>
  )
}
