/** Light, dark, or what the system says; public/early.js applies the same rule before first paint. */
import { useEffect, useSyncExternalStore } from 'react'
import { usePreference } from './preferences'

export type ThemeChoice = 'system' | 'light' | 'dark'

const systemLight = () => window.matchMedia('(prefers-color-scheme: light)')

function subscribeSystem(listener: () => void): () => void {
  const query = systemLight()
  query.addEventListener('change', listener)
  return () => { query.removeEventListener('change', listener) }
}

/** The choice, the theme it comes to, and how to change it. */
export function useTheme() {
  const [choice, choose] = usePreference<ThemeChoice>('theme', 'system')
  const light = useSyncExternalStore(subscribeSystem, () => systemLight().matches)
  const theme = choice === 'system' ? (light ? 'light' : 'dark') : choice
  useEffect(() => {
    document.documentElement.dataset.theme = theme
  }, [theme])
  return { choice, theme, choose } as const
}
