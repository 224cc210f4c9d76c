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
  /** `replace`: a step on the way, which the back button need not visit. */
  select: (selection: Selection, replace?: boolean) => void
  show: (view: View) => void
  /** Select, and make sure that it can be seen in that view. */
  reveal: (selection: Selection, view: View) => void
}

const Context = createContext<TraceView | null>(null)

export function TraceProvider({ data, children }: { data: TraceData; children: ReactNode }) {
  const [params, setParams] = useSearchParams()
  const at = params.toString()
  const go = useCallback(
    (next: (now: URLSearchParams) => URLSearchParams, replace = false) => {
      // From the address of this moment, not of the last render: quick keys must not undo each other.
      // At once, not when React finds time: what is pressed next must meet what the address says.
      setParams(next(new URLSearchParams(window.location.search)), { preventScrollReset: true, flushSync: true, replace })
    },
    [setParams],
  )
  const select = useCallback((next: Selection, replace = false) => { go((now) => withSelection(now, next), replace) }, [go])
  const show = useCallback((view: View) => { go((now) => withView(now, view)) }, [go])
  const reveal = useCallback((next: Selection, view: View) => { go((now) => withView(withSelection(now, next), view)) }, [go])
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

/** The failure that the address points at. */
export function useLinkedFailure(): string | null {
  return useSearchParams()[0].get('failure')
}

export function useTraceView(): TraceView {
  const value = useContext(Context)
  if (!value) throw new Error('useTraceView needs a TraceProvider above it')
  return value
}
