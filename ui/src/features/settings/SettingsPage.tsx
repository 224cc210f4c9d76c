/** The server, its plugins, what it refused, and how this browser shows it all. */
import { TriangleAlert } from 'lucide-react'
import { serverRoot, useHealth, useLogout, usePlugins, useRejected, useSession } from '@/api/queries'
import { copy } from '@/shared/clipboard'
import { duration, plural } from '@/shared/format'
import type { ThemeChoice } from '@/shared/theme'
import { useTheme } from '@/shared/theme'
import { Badge, Button, Segments, SkeletonLines } from '@/shared/ui/basics'
import { Card, Page } from '@/shared/ui/Page'
import { ErrorState } from '@/shared/ui/states'
import { Table } from '@/shared/ui/Table'
import { When } from '@/shared/ui/When'
import { Agreement } from './Agreement'

const THEMES: readonly { value: ThemeChoice; label: string }[] = [
  { value: 'system', label: 'As the system' },
  { value: 'light', label: 'Light' },
  { value: 'dark', label: 'Dark' },
]

export function SettingsPage() {
  return (
    <Page title="Settings">
      <div className="grid gap-4 lg:grid-cols-2">
        <Server />
        <Appearance />
      </div>
      <Agreement />
      <Plugins />
      <Rejected />
    </Page>
  )
}

function Server() {
  const health = useHealth()
  const session = useSession()
  const logout = useLogout()
  const h = health.data
  return (
    <Card title="Server" aside={h && `version ${h.version}`}>
      {h ? (
        <dl className="tabular grid grid-cols-[auto_1fr] gap-x-6 gap-y-1.5">
          <dt className="text-muted">Receives OTLP at</dt>
          <dd className="min-w-0">
            <button type="button" className="max-w-full truncate font-mono text-xs text-accent hover:underline" title="Copy" onClick={() => void copy(serverRoot(), 'Address')}>
              {serverRoot()}
            </button>
          </dd>
          <dt className="text-muted">Store</dt>
          <dd>{h.store === 'up' ? <Badge tone="ok">up</Badge> : <Badge tone="danger">down</Badge>}</dd>
          <dt className="text-muted">Analysis</dt>
          <dd>
            <Badge tone={h.analysis === 'up' ? 'ok' : h.analysis === 'down' ? 'danger' : 'neutral'}>{h.analysis}</Badge>
          </dd>
          <dt className="text-muted">Keeps</dt>
          <dd>
            {h.traces === null ? '' : `${plural(h.traces, 'trace')}, `}
            {h.keep_days === null ? 'until they are deleted' : `each for ${plural(h.keep_days, 'day')} after it ended`}
            <span className="text-muted"> (AGENTTRACE_KEEP_DAYS)</span>
          </dd>
          <dt className="text-muted">Up for</dt>
          <dd>{duration(h.uptime_seconds * 1e6)}</dd>
        </dl>
      ) : health.error ? (
        <ErrorState title="The server does not say how it is" detail={health.error.message} retry={() => void health.refetch()} />
      ) : (
        <SkeletonLines lines={4} />
      )}
      {session.data?.required && (
        <Button className="mt-4" onClick={() => { logout.mutate() }}>
          Sign out
        </Button>
      )}
    </Card>
  )
}

function Appearance() {
  const { choice, choose } = useTheme()
  return (
    <Card title="Appearance, in this browser">
      <div className="flex flex-col items-start gap-3">
        <Segments label="Theme" value={choice} options={THEMES} onChange={choose} />
        <p className="text-muted">Widths of panels, chosen columns and saved views are kept in this browser too.</p>
        <Button
          onClick={() => {
            for (const key of Object.keys(localStorage)) if (key.startsWith('agenttrace.')) localStorage.removeItem(key)
            window.location.reload()
          }}
        >
          Forget them all
        </Button>
      </div>
    </Card>
  )
}

function Plugins() {
  const plugins = usePlugins()
  return (
    <Card title="Plugins" aside="what reads, classifies and replays" flush>
      {plugins.data ? (
        <Table
          label="Plugins"
          rows={plugins.data.items}
          keyOf={(p) => p.name}
          columns={[
            {
              name: 'Plugin',
              value: (p) => p.name,
              cell: (p) => (
                <span className="flex items-center gap-2 font-medium whitespace-nowrap">
                  {p.error && <TriangleAlert role="img" aria-label="broken" className="size-4 text-danger" />}
                  {p.name}
                </span>
              ),
            },
            { name: 'Package', cell: (p) => <span className="whitespace-nowrap text-muted">{`${p.package} ${p.version}`.trim()}</span> },
            {
              name: 'Answers',
              cell: (p) =>
                p.error ? (
                  <span className="text-danger">{p.error}</span>
                ) : (
                  <span className="flex flex-wrap gap-1 py-1">
                    {p.hooks.map((hook) => (
                      <Badge key={hook}>{hook.replace('agenttrace_', '')}</Badge>
                    ))}
                  </span>
                ),
            },
          ]}
        />
      ) : plugins.error ? (
        <ErrorState title="The plugins cannot be listed" detail={plugins.error.message} retry={() => void plugins.refetch()} />
      ) : (
        <SkeletonLines lines={4} />
      )}
    </Card>
  )
}

function Rejected() {
  const rejected = useRejected()
  return (
    <Card title="Spans that were refused" aside="the newest hundred" flush>
      {rejected.data ? (
        rejected.data.items.length ? (
          <Table
            label="Refused spans"
            rows={rejected.data.items.map((r, i) => ({ ...r, key: `${r.time} ${String(i)}` }))}
            keyOf={(r) => r.key}
            columns={[
              { name: 'When', cell: (r) => <When at={r.time} className="whitespace-nowrap text-muted" /> },
              { name: 'Why', cell: (r) => <span className="break-words">{r.reason}</span> },
              { name: 'Span', cell: (r) => <span className="block max-w-56 truncate">{r.name || '–'}</span> },
              { name: 'Service', cell: (r) => <span className="text-muted">{r.service_name || '–'}</span> },
            ]}
          />
        ) : (
          <p className="px-4 pb-3 text-muted">None: every span that arrived was stored.</p>
        )
      ) : rejected.error ? (
        <ErrorState title="They cannot be listed" detail={rejected.error.message} retry={() => void rejected.refetch()} />
      ) : (
        <SkeletonLines lines={3} />
      )}
    </Card>
  )
}
