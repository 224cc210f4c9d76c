/** A small table that sorts by a click on a column's name; of all rows it shows at most `most`, the first ones. */
import clsx from 'clsx'
import { ArrowDown, ArrowUp } from 'lucide-react'
import type { ReactNode } from 'react'
import { useMemo, useState } from 'react'

export interface TableColumn<T> {
  name: string
  cell: (row: T) => ReactNode
  /** What it sorts by; without it the column does not sort. Texts sort upwards, numbers downwards. */
  value?: (row: T) => number | string
  numeric?: boolean
}

export function Table<T>({ label, rows, columns, keyOf, initial, most }: { label: string; rows: readonly T[]; columns: readonly TableColumn<T>[]; keyOf: (row: T) => string; initial?: string; most?: number }) {
  const [order, setOrder] = useState<{ name: string; down: boolean } | null>(initial ? { name: initial, down: true } : null)
  const sorted = useMemo(() => {
    const value = columns.find((c) => c.name === order?.name)?.value
    if (!order || !value) return rows
    const sign = order.down ? -1 : 1
    return [...rows].sort((a, b) => {
      const x = value(a)
      const y = value(b)
      return sign * (typeof x === 'string' || typeof y === 'string' ? String(x).localeCompare(String(y)) : x - y)
    })
  }, [rows, columns, order])
  return (
    <table aria-label={label} className="w-full text-xs">
      <thead>
        <tr>
          {columns.map((column) => {
            const active = order?.name === column.name
            return (
              <th
                key={column.name}
                scope="col"
                aria-sort={active ? (order.down ? 'descending' : 'ascending') : undefined}
                className={clsx('h-8 px-4 font-medium whitespace-nowrap text-muted', column.numeric ? 'text-right' : 'text-left')}
              >
                {column.value ? (
                  <button
                    type="button"
                    className={clsx('inline-flex items-center gap-1 hover:text-text', active && 'text-text')}
                    onClick={() => { setOrder({ name: column.name, down: active ? !order.down : column.numeric === true }) }}
                  >
                    {column.name}
                    {active && (order.down ? <ArrowDown aria-hidden className="size-3" /> : <ArrowUp aria-hidden className="size-3" />)}
                  </button>
                ) : (
                  column.name
                )}
              </th>
            )
          })}
        </tr>
      </thead>
      <tbody>
        {sorted.slice(0, most).map((row) => (
          <tr key={keyOf(row)} className="border-t border-line hover:bg-hover">
            {columns.map((column) => (
              <td key={column.name} className={clsx('h-9 px-4', column.numeric && 'tabular text-right whitespace-nowrap')}>
                {column.cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}
