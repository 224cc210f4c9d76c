/** A family of replays as an indented list. */
import type { Family } from '@/api/types'

type Member = Family['members'][number]

/** Each member after what it is a replay of, with its depth. O(members); a member is listed once. */
export function generations(members: readonly Member[]): { member: Member; depth: number }[] {
  const known = new Set(members.map((m) => m.trace_id))
  const children = new Map<string | null, Member[]>()
  for (const member of members) {
    const parent = member.replay_of !== null && known.has(member.replay_of) ? member.replay_of : null
    children.set(parent, [...(children.get(parent) ?? []), member])
  }
  const rows: { member: Member; depth: number }[] = []
  const seen = new Set<string>()
  const add = (parent: string | null, depth: number) => {
    for (const member of children.get(parent) ?? []) {
      if (seen.has(member.trace_id)) continue
      seen.add(member.trace_id)
      rows.push({ member, depth })
      add(member.trace_id, depth + 1)
    }
  }
  add(null, 0)
  return rows
}
