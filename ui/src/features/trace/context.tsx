/** The trace and the selection, for every view below the page. */
import type { ReactNode } from 'react'
import { createContext, useCallback, useContext, useMemo } from 'react'
import { useSearchParams } from 'react-router'
import type { Links, Selection, TraceData, View } from './model'
import { linksOf, selectionOf, viewOf, withSelection } from './model'

export interface TraceView {
  data: TraceData
  selection: Selection
  links: Links
  view: View
  select: (selection: Selection) => void
  show: (view: View) => void
  /** Select, and make sure that it can be seen in that view. */
  reveal: (selection: Selection, view: View) => void
}

const Context = createContext<TraceView | null>(null)

export function TraceProvider({ data, children }: { data: TraceData; children: ReactNode }) {
  const [params, setParams] = useSearchParams()
  const at = params.toString()
  const select = useCallback(
    (next: Selection) => {
      setParams((old) => withSelection(old, next), { preventScrollReset: true })
    },
    [setParams],
  )
  const show = useCallback(
    (view: View) => {
      setParams((old) => withView(old, view), { preventScrollReset: true })
    },
    [setParams],
  )
  const reveal = useCallback(
    (next: Selection, view: View) => {
      setParams((old) => withView(withSelection(old, next), view), { preventScrollReset: true })
    },
    [setParams],
  )
  const value = useMemo(() => {
    const now = new URLSearchParams(at)
    const selection = selectionOf(now)
    return { data, selection, links: linksOf(selection, data), view: viewOf(now), select, show, reveal }
  }, [data, at, select, show, reveal])
  return <Context value={value}>{children}</Context>
}

function withView(params: URLSearchParams, view: View): URLSearchParams {
  const next = new URLSearchParams(params)
  if (view === 'overview') next.delete('view')
  else next.set('view', view)
  return next
}

export function useTraceView(): TraceView {
  const value = useContext(Context)
  if (!value) throw new Error('useTraceView needs a TraceProvider above it')
  return value
}
