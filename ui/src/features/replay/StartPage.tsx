/** Go back to a moment of a run, change what was known then, and run again from there. */
import { FlaskConical, Play, Plus, X } from 'lucide-react'
import type { ReactNode } from 'react'
import { useMemo, useState } from 'react'
import { Link, useNavigate, useParams, useSearchParams } from 'react-router'
import { useCheckpoint, useCheckpointBefore, useCheckpoints, useStartExperiment, useStartReplay, useWorkers } from '@/api/replays'
import type { Checkpoint, CheckpointState } from '@/api/types'
import { Content } from '@/shared/content/Content'
import { bytes, plural } from '@/shared/format'
import { Badge, Button, IconButton, Segments, SkeletonLines } from '@/shared/ui/basics'
import { Card, Page } from '@/shared/ui/Page'
import { EmptyState, ErrorState } from '@/shared/ui/states'
import type { StateEdit } from './edits'
import { asRequest, spoken, withEdit, written } from './edits'
import { see } from './lens'
import { Note, Words } from './pieces'
import { StateTree } from './StateTree'
import { compareWords } from './words'

export function StartPage() {
  const { traceId = '' } = useParams()
  const [params, setParams] = useSearchParams()
  const message = params.get('message')
  const chosen = params.get('checkpoint')
  const checkpoints = useCheckpoints(traceId)
  const before = useCheckpointBefore(traceId, chosen ? null : message)
  const first = checkpoints.data?.find((c) => c.resumable)?.checkpoint_id ?? null
  const id = chosen ?? (message ? (before.data?.checkpoint_id ?? null) : first)
  return (
    <Page
      title="Replay"
      lead={
        <>
          of <Link to={`/traces/${traceId}`} className="text-accent underline">trace {traceId.slice(0, 8)}</Link>: go back to a checkpoint, change its state, run again from there
        </>
      }
    >
      {checkpoints.error ? (
        <ErrorState title="The checkpoints cannot be shown" detail={checkpoints.error.message} retry={() => void checkpoints.refetch()} />
      ) : !checkpoints.data ? (
        <SkeletonLines lines={10} label="Loading checkpoints" />
      ) : !checkpoints.data.length ? (
        <NoCheckpoints />
      ) : (
        <>
          {before.error && <Note tone="warn">{before.error.message}</Note>}
          <div className="grid items-start gap-5 lg:grid-cols-[20rem_minmax(0,1fr)]">
            <Card title="Go back to" aside={plural(checkpoints.data.filter((c) => c.resumable).length, 'checkpoint')} flush>
              <Checkpoints
                checkpoints={checkpoints.data}
                chosen={id}
                onChoose={(next) => { setParams({ checkpoint: next }, { replace: true }) }}
              />
            </Card>
            {id ? <Change key={id} traceId={traceId} checkpointId={id} /> : !before.isLoading && <EmptyState title="Choose a checkpoint" />}
          </div>
        </>
      )}
    </Page>
  )
}

function NoCheckpoints() {
  return (
    <EmptyState title="This run left no checkpoints">
      <p>
        AgentTrace’s plugins for LangGraph, AutoGen and CrewAI record them as the run goes. For agents of your own, call{' '}
        <code className="font-mono">tracer.checkpoint(label, state=…)</code>.
      </p>
    </EmptyState>
  )
}

function Checkpoints({ checkpoints, chosen, onChoose }: { checkpoints: readonly Checkpoint[]; chosen: string | null; onChoose: (id: string) => void }) {
  const [every, setEvery] = useState(false)
  const closed = checkpoints.filter((c) => !c.resumable).length
  const nowhere = closed === checkpoints.length
  return (
    <div className="flex max-h-[70vh] flex-col">
      <ol className="min-h-0 overflow-y-auto pb-1" aria-label="Checkpoints">
        {checkpoints.map((checkpoint, i) =>
          checkpoint.resumable || every || nowhere ? (
            <CheckpointRow
              key={checkpoint.checkpoint_id}
              checkpoint={checkpoint}
              place={i + 1}
              chosen={checkpoint.checkpoint_id === chosen}
              onChoose={() => { onChoose(checkpoint.checkpoint_id) }}
            />
          ) : null,
        )}
      </ol>
      {closed > 0 && !nowhere && (
        <button type="button" aria-expanded={every} onClick={() => { setEvery(!every) }} className="shrink-0 border-t border-line px-4 py-1.5 text-left text-2xs text-muted hover:bg-hover hover:text-text">
          {every ? 'Hide those a run cannot go back to' : `${plural(closed, 'more checkpoint')} a run cannot go back to, and why`}
        </button>
      )}
    </div>
  )
}

function CheckpointRow({ checkpoint, place, chosen, onChoose }: { checkpoint: Checkpoint; place: number; chosen: boolean; onChoose: () => void }) {
  return (
    <li>
      <button
        type="button"
        aria-current={chosen ? 'true' : undefined}
        disabled={!checkpoint.resumable}
        onClick={onChoose}
        className="flex w-full flex-col gap-0.5 px-4 py-1.5 text-left text-xs enabled:hover:bg-hover aria-[current]:bg-selected"
      >
        <span className="flex w-full min-w-0 items-baseline gap-2">
          <span className="tabular w-5 shrink-0 text-right text-faint">{place}</span>
          <span className={checkpoint.resumable ? 'min-w-0 truncate font-medium' : 'min-w-0 truncate text-muted'} title={checkpoint.label}>
            {checkpoint.label || checkpoint.checkpoint_id}
          </span>
          <span className="tabular ml-auto shrink-0 text-2xs text-faint">{bytes(checkpoint.state_bytes)}</span>
        </span>
        {checkpoint.why_not && <span className="pl-7 text-2xs text-muted">{checkpoint.why_not}</span>}
      </button>
    </li>
  )
}

function Change({ traceId, checkpointId }: { traceId: string; checkpointId: string }) {
  const checkpoint = useCheckpoint(traceId, checkpointId)
  if (checkpoint.data) return <Form checkpoint={checkpoint.data} />
  if (checkpoint.error) return <ErrorState title="The checkpoint cannot be shown" detail={checkpoint.error.message} retry={() => void checkpoint.refetch()} />
  return <SkeletonLines lines={12} label="Loading the state" />
}

interface Variant {
  label: string
  edits: StateEdit[]
}

function Form({ checkpoint }: { checkpoint: CheckpointState }) {
  const [variants, setVariants] = useState<readonly Variant[]>([{ label: '', edits: [] }])
  const [active, setActive] = useState(0)
  const view = useMemo(() => see(checkpoint.framework, checkpoint.parsed), [checkpoint])
  const variant = variants[active] ?? { label: '', edits: [] }
  const change = (edits: StateEdit[]) => { setVariants(variants.map((v, i) => (i === active ? { ...v, edits } : v))) }
  return (
    <div className="flex min-w-0 flex-col gap-5">
      <Card title="Change what was known then" aside={checkpoint.label}>
        <div className="flex flex-col gap-3">
          {variants.length > 1 && (
            <div role="group" aria-label="Variants" className="flex flex-wrap items-center gap-1.5">
              {variants.map((v, i) => (
                <Button key={i} look={i === active ? 'solid' : 'outline'} aria-pressed={i === active} onClick={() => { setActive(i) }}>
                  Variant {i + 1}
                  <span className="opacity-80">{v.edits.length}</span>
                </Button>
              ))}
              <IconButton
                label={`Remove variant ${String(active + 1)}`}
                onClick={() => {
                  setVariants(variants.filter((_, i) => i !== active))
                  setActive(Math.max(0, active - 1))
                }}
              >
                <X className="size-4" />
              </IconButton>
            </div>
          )}
          {checkpoint.parsed === null ? (
            <>
              <p className="text-muted">This state is in a form of its own and cannot be edited here; it can be replayed as it is.</p>
              <Content text={checkpoint.state} fold={200} />
            </>
          ) : (
            <>
              <StateTree key={active} root={view.root} edits={variant.edits} onEdit={(edit) => { change(withEdit(variant.edits, edit)) }} />
              {view.hidden && <p className="text-2xs text-faint">Not shown: {view.hidden}.</p>}
            </>
          )}
        </div>
      </Card>
      <Card title="Before it runs" aside={variant.edits.length ? plural(variant.edits.length, 'edit') : 'nothing changed yet'}>
        <Edits edits={variant.edits} onRemove={(path) => { change(variant.edits.filter((e) => e.path !== path)) }} />
        <Run
          checkpoint={checkpoint}
          variants={variants}
          onAdd={() => {
            setVariants([...variants, { label: '', edits: [...variant.edits] }])
            setActive(variants.length)
          }}
        />
      </Card>
    </div>
  )
}

function Edits({ edits, onRemove }: { edits: readonly StateEdit[]; onRemove: (path: string) => void }) {
  if (!edits.length) {
    return (
      <p className="text-muted">
        Without an edit this repeats the run: every answer comes from the record, at no cost. Edit any value above to see what it changes.
      </p>
    )
  }
  return (
    <ul aria-label="Edits" className="flex flex-col gap-3">
      {edits.map((edit) => {
        const pieces = compareWords(written(edit.before), written(edit.after))
        return (
          <li key={edit.path}>
            <div className="mb-1 flex items-center gap-2">
              <span className="min-w-0 truncate font-mono text-2xs text-muted">{spoken(edit.path)}</span>
              <IconButton label={`Undo the edit of ${spoken(edit.path)}`} className="ml-auto" onClick={() => { onRemove(edit.path) }}>
                <X className="size-3.5" />
              </IconButton>
            </div>
            <div className="grid gap-2 text-xs md:grid-cols-2">
              <div className="min-w-0 rounded-lg border border-line px-2.5 py-1.5">
                <Words pieces={pieces} side="left" />
              </div>
              <div className="min-w-0 rounded-lg border border-warn px-2.5 py-1.5">
                <Words pieces={pieces} side="right" />
              </div>
            </div>
          </li>
        )
      })}
    </ul>
  )
}

type Mode = 'recorded' | 'live'

function Run({ checkpoint, variants, onAdd }: { checkpoint: CheckpointState; variants: readonly Variant[]; onAdd: () => void }) {
  const [mode, setMode] = useState<Mode>('recorded')
  const [tools, setTools] = useState('')
  const [repeats, setRepeats] = useState(1)
  const navigate = useNavigate()
  const workers = useWorkers()
  const replay = useStartReplay()
  const experiment = useStartExperiment()
  const several = variants.length * repeats
  const able = (workers.data ?? []).some((w) => w.targets.some((t) => t.framework === checkpoint.framework || t.framework === ''))
  const names = tools.split(',').map((name) => name.trim()).filter(Boolean)
  const common = { checkpoint_id: checkpoint.checkpoint_id, trace_id: checkpoint.trace_id, mode, live_tools: names.includes('all') ? ('all' as const) : names }
  const start = () => {
    if (several === 1) {
      replay.mutate(
        { ...common, timeout_seconds: 600, label: '', edits: asRequest(variants[0]?.edits ?? []) },
        { onSuccess: (made) => void navigate(`/replays/${made.replay_id}`) },
      )
    } else {
      experiment.mutate(
        { ...common, timeout_seconds: 600, name: checkpoint.label, repeats, variants: variants.map((v) => ({ label: v.label, edits: asRequest(v.edits) })) },
        { onSuccess: (made) => void navigate(`/experiments/${made.experiment_id}`) },
      )
    }
  }
  const error = replay.error ?? experiment.error
  return (
    <div className="mt-4 flex flex-col gap-3 border-t border-line pt-4">
      <Option name="Model calls">
        <Segments
          label="Model calls"
          value={mode}
          options={[
            { value: 'recorded', label: 'Recorded where unchanged' },
            { value: 'live', label: 'All live' },
          ]}
          onChange={setMode}
        />
        <span className="text-2xs text-muted">{mode === 'recorded' ? 'Only what the edit reaches is asked again.' : 'Every model is asked again, at its price.'}</span>
      </Option>
      <Option name="Tools that may run">
        <input
          aria-label="Tools that may run live"
          value={tools}
          onChange={(event) => { setTools(event.target.value) }}
          placeholder="none: their recorded results are used"
          className="h-7 w-64 max-w-full rounded-md border border-line bg-panel px-2 text-xs placeholder:text-faint"
        />
        <span className="text-2xs text-muted">Names with commas between, or “all”. Tools act on the world: each is your choice.</span>
      </Option>
      <Option name="Repeat">
        <input
          type="number"
          aria-label="How often"
          min={1}
          max={100}
          value={repeats}
          onChange={(event) => { setRepeats(Math.max(1, Math.min(100, Math.round(Number(event.target.value)) || 1))) }}
          className="tabular h-7 w-16 rounded-md border border-line bg-panel px-2 text-xs"
        />
        <Button onClick={onAdd}>
          <Plus aria-hidden className="size-3.5" /> Another variant
        </Button>
      </Option>
      {workers.data && !able && (
        <Note tone="neutral">
          No worker that can run this is connected{mode === 'recorded' ? ': the replay will only be simulated, which tells what would run again' : ''}. Start one where your application lives:{' '}
          <code className="font-mono text-xs">agenttrace worker MODULE</code>
        </Note>
      )}
      {error && <Note tone="danger">{error.message}</Note>}
      <div className="flex items-center gap-3">
        <Button look="solid" className="h-8 px-4" disabled={replay.isPending || experiment.isPending} onClick={start}>
          {several === 1 ? <Play aria-hidden className="size-3.5" /> : <FlaskConical aria-hidden className="size-3.5" />}
          {several === 1 ? 'Run it again' : `Run ${String(several)} times`}
        </Button>
        {able && <Badge tone="ok">worker connected</Badge>}
      </div>
    </div>
  )
}

function Option({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
      <span className="w-32 shrink-0 text-xs text-muted">{name}</span>
      {children}
    </div>
  )
}
