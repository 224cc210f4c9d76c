/** How far people agree with what was found, by mode; and their verdicts to take away. */
import { useAgreement } from '@/api/reviews'
import { apiUrl } from '@/api/queries'
import type { AgreementReport } from '@/api/types'
import { codeOf, nameOf } from '@/shared/failureNames'
import { cost, count, plural } from '@/shared/format'
import { SkeletonLines } from '@/shared/ui/basics'
import { Card } from '@/shared/ui/Page'
import { ErrorState } from '@/shared/ui/states'
import { Table } from '@/shared/ui/Table'

export function Agreement() {
  const agreement = useAgreement()
  const report = agreement.data
  return (
    <Card title="Failures, as people judge them" aside={report && `shown from a confidence of ${percent(report.threshold)}`} flush>
      {report ? (
        report.items.length ? (
          <Figures report={report} />
        ) : (
          <p className="px-4 pb-3 text-muted">Nobody has reviewed a failure yet: confirm or reject some, and their precision shows here.</p>
        )
      ) : agreement.error ? (
        <ErrorState title="The reviews cannot be counted" detail={agreement.error.message} retry={() => void agreement.refetch()} />
      ) : (
        <SkeletonLines lines={3} />
      )}
      {report?.judge && <Judge judge={report.judge} />}
    </Card>
  )
}

function Figures({ report }: { report: AgreementReport }) {
  const reviewed = report.confirmed + report.rejected + report.corrected
  return (
    <>
      <p className="px-4 pb-2 text-muted">
        {plural(reviewed, 'finding')} reviewed, {percent(report.precision)} right; {count(report.missed)} added by hand.{' '}
        <a className="text-accent hover:underline" href={apiUrl('failures', 'labelled')} download>
          Download the reviewed runs
        </a>
      </p>
      <Table
        label="Agreement by mode"
        rows={report.items}
        keyOf={(row) => `${row.mode}/${row.classifier}`}
        columns={[
          {
            name: 'Failure',
            value: (row) => row.mode,
            cell: (row) => (
              <span className="flex items-baseline gap-2 font-medium">
                {codeOf(row) && <span className="font-mono text-2xs text-muted">{row.mode}</span>}
                {nameOf(row)}
              </span>
            ),
          },
          { name: 'Found by', cell: (row) => <span className="text-muted">{row.classifier}</span> },
          { name: 'Confirmed', numeric: true, value: (row) => row.confirmed, cell: (row) => count(row.confirmed) },
          { name: 'Corrected', numeric: true, value: (row) => row.corrected, cell: (row) => count(row.corrected) },
          { name: 'Rejected', numeric: true, value: (row) => row.rejected, cell: (row) => count(row.rejected) },
          { name: 'Missed', numeric: true, value: (row) => row.missed, cell: (row) => count(row.missed) },
          {
            name: 'Precision',
            numeric: true,
            value: (row) => row.precision ?? -1,
            cell: (row) => <span title={row.low === null ? undefined : `95 % interval: ${percent(row.low)} to ${percent(row.high)}`}>{percent(row.precision)}</span>,
          },
        ]}
      />
    </>
  )
}

function Judge({ judge }: { judge: NonNullable<AgreementReport['judge']> }) {
  return (
    <p className="border-t border-line px-4 py-3 text-muted">
      {judge.problem ?? (
        <>
          The judge {judge.model} was asked {plural(judge.calls, 'time')} in the last 24 hours, with {count(judge.tokens_in + judge.tokens_out)} tokens,
          for {cost(judge.cost_usd)} of at most {cost(judge.cap_usd)}.
        </>
      )}
    </p>
  )
}

function percent(share: number | null): string {
  return share === null ? '–' : `${String(Math.round(share * 100))} %`
}
