/** The span timeline: its bar of controls, and the picture or its table twin. */
import { ChevronsDownUp, ChevronsUpDown, CircleAlert, Route, Search, Table2 } from 'lucide-react'
import { useDeferredValue, useMemo, useState } from 'react'
import { usePreference } from '@/shared/preferences'
import { IconButton, Segments, Select } from '@/shared/ui/basics'
import { Panel, PanelTitle } from '@/shared/ui/Panel'
import { useTraceView } from '../context'
import { Canvas } from './Canvas'
import type { RowFilter } from './model'
import { criticalPath, growTree, matches, visibleRows } from './model'
import { SpanTable } from './SpanTable'

export type ColourBy = 'agent' | 'kind'

const NO_FOLDS: ReadonlySet<number> = new Set()

export function TimelineView({ compact = false }: { compact?: boolean }) {
  const { data } = useTraceView()
  const { skeleton } = data
  const [colourBy, setColourBy] = usePreference<ColourBy>('timeline.colour', 'agent')
  const [critical, setCritical] = usePreference('timeline.critical', false)
  const [asTable, setAsTable] = useState(false)
  const [folded, setFolded] = useState(NO_FOLDS)
  const [filter, setFilter] = useState<RowFilter>({ text: '', kind: '', agent: '', errorsOnly: false })
  const wanted = useDeferredValue(filter)

  const tree = useMemo(() => growTree(skeleton), [skeleton])
  const rows = useMemo(() => visibleRows(tree, folded), [tree, folded])
  const path = useMemo(() => (critical ? criticalPath(skeleton, tree) : null), [critical, skeleton, tree])
  const found = useMemo(() => {
    if (!wanted.text && !wanted.kind && !wanted.agent && !wanted.errorsOnly) return null
    const fits = new Uint8Array(tree.count + 1)
    for (let row = 0; row < tree.count; row++) fits[row] = matches(skeleton, row, wanted) ? 1 : 0
    return fits
  }, [wanted, skeleton, tree])
  const hits = useMemo(() => found?.reduce((sum, fit) => sum + fit, 0) ?? 0, [found])
  const foldAll = () => {
    const next = new Set<number>()
    for (const row of tree.order) if ((tree.depth[row] ?? 0) >= 1 && (tree.size[row] ?? 0) > 0) next.add(row)
    setFolded(next)
  }

  return (
    <Panel
      label="Span timeline"
      bar={
        <>
          <PanelTitle>Timeline</PanelTitle>
          <span className="relative shrink-0 sm:min-w-0 sm:shrink">
            <Search aria-hidden className="pointer-events-none absolute top-1.5 left-1.5 size-3.5 text-faint" />
            <input
              type="search"
              aria-label="Find spans"
              placeholder="Find spans"
              value={filter.text}
              onChange={(e) => { setFilter({ ...filter, text: e.target.value }) }}
              className="h-[26px] w-36 min-w-0 rounded-md border border-line bg-panel pr-1 pl-6 text-xs placeholder:text-faint"
            />
          </span>
          {!compact && (
            <>
              <Select label="Kind" any="Any kind" value={filter.kind} options={skeleton.kinds} onChange={(kind) => { setFilter({ ...filter, kind }) }} />
              <Select label="Agent" any="Any agent" value={filter.agent} options={skeleton.agents} onChange={(agent) => { setFilter({ ...filter, agent }) }} />
            </>
          )}
          <IconButton label="Errors only" pressed={filter.errorsOnly} onClick={() => { setFilter({ ...filter, errorsOnly: !filter.errorsOnly }) }}>
            <CircleAlert className="size-4" />
          </IconButton>
          {found && (
            <span className="tabular shrink-0 text-xs text-muted" aria-live="polite">
              {hits.toLocaleString()} found
            </span>
          )}
          <span className="ml-auto" />
          <Segments
            label="Colour by"
            value={colourBy}
            onChange={setColourBy}
            options={[
              { value: 'agent', label: 'Agent', name: 'Colour by agent' },
              { value: 'kind', label: 'Kind', name: 'Colour by kind' },
            ]}
          />
          <IconButton label="Critical path" pressed={critical} onClick={() => { setCritical(!critical) }}>
            <Route className="size-4" />
          </IconButton>
          <IconButton label={folded.size ? 'Unfold all' : 'Fold all'} onClick={() => { if (folded.size) setFolded(NO_FOLDS); else foldAll() }}>
            {folded.size ? <ChevronsUpDown className="size-4" /> : <ChevronsDownUp className="size-4" />}
          </IconButton>
          <IconButton label="As a table" pressed={asTable} onClick={() => { setAsTable(!asTable) }}>
            <Table2 className="size-4" />
          </IconButton>
        </>
      }
    >
      {asTable ? (
        <SpanTable tree={tree} rows={rows} found={found} />
      ) : (
        <Canvas tree={tree} rows={rows} folded={folded} setFolded={setFolded} colourBy={colourBy} path={path} found={found} compact={compact} />
      )}
    </Panel>
  )
}
