/** Failures as the panel shows them: by category, the decisive one first, the doubtful ones apart. */
import type { Failure } from '@/api/types'
import { nameOf } from '@/shared/failureNames'

const SEVERITIES: readonly Failure['severity'][] = ['critical', 'high', 'medium', 'low']

/** Failures of one kind: the same thing again and again is one thing to the reader. */
export interface Kind {
  name: string
  failures: Failure[]
}

export interface Group {
  category: string
  kinds: Kind[]
}

export interface Sorted {
  groups: Group[]
  doubtful: Failure[]
  rejected: Failure[]
}

/** Arrange failures for the panel. */
export function arrange(failures: readonly Failure[]): Sorted {
  const rejected = failures.filter((f) => f.review === 'rejected')
  const standing = failures.filter((f) => f.review !== 'rejected')
  const sure = standing.filter((f) => f.shown).sort(worse)
  const groups: Group[] = []
  for (const failure of sure) {
    let group = groups.find((g) => g.category === failure.category)
    if (!group) groups.push((group = { category: failure.category, kinds: [] }))
    const name = nameOf(failure)
    const kind = group.kinds.find((k) => k.name === name)
    if (kind) kind.failures.push(failure)
    else group.kinds.push({ name, failures: [failure] })
  }
  return { groups, doubtful: standing.filter((f) => !f.shown).sort(worse), rejected }
}

function worse(a: Failure, b: Failure): number {
  return (
    Number(b.decisive) - Number(a.decisive) ||
    SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    b.confidence - a.confidence
  )
}
