/** How the tokens and the cost were counted, and what the roots said of them. */
import { useAccounting } from '@/api/queries'
import type { Accounting, TraceSummary } from '@/api/types'
import { cost, count } from '@/shared/format'
import { Popover } from '@/shared/ui/Popover'

type Usage = Accounting['leaves']

export function Tokens({ summary }: { summary: TraceSummary }) {
  const tokens = count(summary.tokens_in + summary.tokens_out)
  return (
    <Popover label={`${tokens} tokens: how they were counted`} align="left" inline trigger={tokens}>
      {() => <Reckoning traceId={summary.trace_id} version={summary.version} />}
    </Popover>
  )
}

function Reckoning({ traceId, version }: { traceId: string; version: number }) {
  const { data, error } = useAccounting(traceId, version)
  return (
    <div className="w-[min(22rem,calc(100vw-3rem))] p-3 text-xs">
      {error && (
        <p role="alert" className="text-danger">
          {error.message}
        </p>
      )}
      {data && (
        <table className="tabular w-full">
          <caption className="pb-2 text-left text-muted">{explained(data)}</caption>
          <thead>
            <tr className="text-right text-faint">
              <td />
              <th scope="col" className="font-normal">In</th>
              <th scope="col" className="font-normal">Out</th>
              <th scope="col" className="font-normal">Cost</th>
            </tr>
          </thead>
          <tbody>
            <Row name="Leaves sum" usage={data.leaves} />
            {data.root_said && <Row name="Root said" usage={data.root_said} />}
          </tbody>
        </table>
      )}
    </div>
  )
}

function Row({ name, usage }: { name: string; usage: Usage }) {
  return (
    <tr className="text-right">
      <th scope="row" className="text-left font-normal text-muted">{name}</th>
      <td>{usage.tokens_in.toLocaleString()}</td>
      <td>{usage.tokens_out.toLocaleString()}</td>
      <td>{usage.cost_usd === null ? '–' : cost(usage.cost_usd)}</td>
    </tr>
  )
}

/** What was counted, in words. */
function explained({ calls, silent, seen_twice: twice }: Accounting): string {
  const parts = [`${count(calls)} model ${calls === 1 ? 'call' : 'calls'}, each counted once`]
  if (twice.length) parts.push(`${count(twice.length)} ${twice.length === 1 ? 'span shows a call' : 'spans show calls'} again`)
  if (silent) parts.push(`${count(silent)} did not say what ${silent === 1 ? 'it' : 'they'} took`)
  return `${parts.join('; ')}.`
}
