/** The frame: navigation on the left (below, on a phone), shortcuts, palette, login. */
import clsx from 'clsx'
import { Activity, Bot, ChartNoAxesColumn, History, Keyboard, Moon, Search, Settings, Sun } from 'lucide-react'
import { useState } from 'react'
import { NavLink, Outlet, useLocation, useNavigate } from 'react-router'
import { useSession } from '@/api/queries'
import type { Shortcut } from '@/shared/shortcuts'
import { useShortcutListener, useShortcuts } from '@/shared/shortcuts'
import { useTheme } from '@/shared/theme'
import { Help } from './Help'
import { Login } from './Login'
import { Palette } from './Palette'

const PAGES = [
  { to: '/traces', label: 'Traces', icon: Activity, keys: 'g t' },
  { to: '/replays', label: 'Replays', icon: History, keys: 'g r' },
  { to: '/dashboard', label: 'Dashboard', icon: ChartNoAxesColumn, keys: 'g d' },
  { to: '/agents', label: 'Agents', icon: Bot, keys: 'g a' },
  { to: '/settings', label: 'Settings', icon: Settings, keys: 'g s' },
] as const

const RAIL_ITEM =
  'flex w-14 flex-col items-center gap-0.5 rounded-lg py-1.5 text-[10px] leading-3 font-medium transition-colors'

export function Layout() {
  const [open, setOpen] = useState<'palette' | 'help' | null>(null)
  const { theme, choose } = useTheme()
  const navigate = useNavigate()
  const location = useLocation()
  const session = useSession()
  // A dialog tells that it closed a moment later; another one may be open by then, and stays.
  const close = (which: 'palette' | 'help') => { setOpen((now) => (now === which ? null : now)) }
  const flip = () => { choose(theme === 'dark' ? 'light' : 'dark') }
  useShortcutListener()
  useShortcuts([
    ...PAGES.map((page): Shortcut => ({ keys: page.keys, label: page.label, group: 'Go to', run: () => void navigate(page.to) })),
    { keys: 'mod+k', label: 'Command palette', group: 'General', run: () => { setOpen((now) => (now === 'palette' ? null : 'palette')) } },
    { keys: '?', label: 'Keyboard shortcuts', group: 'General', run: () => { setOpen('help') } },
    { keys: 't', label: 'Light or dark', group: 'General', run: flip },
  ])
  if (session.data?.required && !session.data.authenticated) return <Login />
  const atTraces = location.pathname === '/'
  return (
    <div className="flex h-full flex-col-reverse md:flex-row">
      <a href="#main" className="sr-only z-50 rounded bg-panel px-3 py-2 focus:not-sr-only focus:absolute focus:top-2 focus:left-2">
        Skip to content
      </a>
      <nav
        aria-label="Main"
        className="flex shrink-0 items-center justify-around border-t border-line bg-panel px-1 py-1 md:w-16 md:flex-col md:justify-start md:gap-1 md:border-t-0 md:border-r md:py-2.5"
      >
        <NavLink to="/traces" aria-label="AgentTrace" className="mb-2 hidden md:block">
          <Logo />
        </NavLink>
        {PAGES.map(({ to, label, icon: Icon }) => (
          <NavLink
            key={to}
            to={to}
            className={({ isActive }) =>
              clsx(RAIL_ITEM, isActive || (atTraces && to === '/traces') ? 'bg-selected text-accent' : 'text-muted hover:bg-hover hover:text-text')
            }
          >
            <Icon aria-hidden className="size-[18px]" strokeWidth={1.75} />
            {label}
          </NavLink>
        ))}
        <div className="hidden md:mt-auto md:flex md:flex-col md:items-center md:gap-1">
          <RailButton label="Search" title="Search and commands (Ctrl K)" onClick={() => { setOpen('palette') }}>
            <Search aria-hidden className="size-[18px]" strokeWidth={1.75} />
          </RailButton>
          <RailButton label="Keys" title="Keyboard shortcuts (?)" onClick={() => { setOpen('help') }}>
            <Keyboard aria-hidden className="size-[18px]" strokeWidth={1.75} />
          </RailButton>
          <RailButton label={theme === 'dark' ? 'Light' : 'Dark'} title="Light or dark (T)" onClick={flip}>
            {theme === 'dark' ? <Sun aria-hidden className="size-[18px]" strokeWidth={1.75} /> : <Moon aria-hidden className="size-[18px]" strokeWidth={1.75} />}
          </RailButton>
        </div>
      </nav>
      <main id="main" className="min-h-0 min-w-0 flex-1 overflow-hidden">
        <Outlet />
      </main>
      <Palette open={open === 'palette'} onClose={() => { close('palette') }} onHelp={() => { setOpen('help') }} />
      <Help open={open === 'help'} onClose={() => { close('help') }} />
    </div>
  )
}

function RailButton({ label, title, onClick, children }: { label: string; title: string; onClick: () => void; children: React.ReactNode }) {
  return (
    <button type="button" title={title} onClick={onClick} className={clsx(RAIL_ITEM, 'text-muted hover:bg-hover hover:text-text')}>
      {children}
      {label}
    </button>
  )
}

function Logo() {
  return (
    <svg viewBox="0 0 32 32" className="size-8" aria-hidden>
      <rect width="32" height="32" rx="8" className="fill-raised" />
      <path d="M9 22 16 8l7 14" fill="none" strokeWidth="2.4" strokeLinecap="round" strokeLinejoin="round" className="stroke-accent" />
      <path d="M11.6 17.4h8.8" fill="none" strokeWidth="2.4" strokeLinecap="round" strokeDasharray="3.2 3" stroke="var(--agent-1)" />
      <circle cx="16" cy="8" r="3.2" className="fill-accent" />
      <circle cx="9" cy="22.6" r="3.2" fill="var(--agent-2)" />
      <circle cx="23" cy="22.6" r="3.2" fill="var(--agent-3)" />
    </svg>
  )
}
