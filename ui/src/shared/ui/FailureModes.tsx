/** Kinds of failure, the most frequent first; each leads to the traces that have it. */
import { Link } from 'react-router'
import { codeOf, filterOf, nameOf } from '@/shared/failureNames'
import { count } from '@/shared/format'

interface ModeCount {
  mode: string
  subcategory: string
  count: number
  /** What else there is to say of it. */
  note?: string
  /** What stands behind the number. */
  places?: string
}

const SHOWN = 12

export function FailureModes({ modes, agent }: { modes: readonly ModeCount[]; agent?: string }) {
  const most = Math.max(...modes.map((m) => m.count))
  return (
    <ul className="flex flex-col gap-0.5">
      {modes.slice(0, SHOWN).map((mode) => {
        const search = new URLSearchParams({ failure: filterOf(mode), ...(agent === undefined ? {} : { agent }) })
        return (
          <li key={`${mode.mode}/${mode.note ?? ''}/${mode.subcategory}`}>
            <Link to={`/traces?${search.toString()}`} className="group -mx-2 flex flex-col gap-1 rounded-md px-2 py-1.5 hover:bg-hover">
              <span className="flex items-baseline gap-2 text-xs">
                {codeOf(mode) && <span className="font-mono text-2xs text-muted">{mode.mode}</span>}
                <span className="truncate font-medium">{nameOf(mode)}</span>
                {mode.note && <span className="truncate text-2xs text-faint">{mode.note}</span>}
                <span className="tabular ml-auto shrink-0">
                  {count(mode.count)} {mode.places && <span className="text-faint">{mode.places}</span>}
                </span>
              </span>
              <span aria-hidden className="h-1 overflow-hidden rounded-full bg-neutral-soft">
                <span className="block h-full rounded-full bg-warn" style={{ width: `${String((100 * mode.count) / most)}%` }} />
              </span>
            </Link>
          </li>
        )
      })}
    </ul>
  )
}
