/** Routes, data and the frame around every page. */
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { useState } from 'react'
import { createBrowserRouter } from 'react-router'
import { RouterProvider } from 'react-router/dom'
import { ApiError, prefetchTrace, prefetchTraces, serverRoot } from '@/api/queries'
import { queryOf } from '@/features/traces/model'
import { TracesPage } from '@/features/traces/TracesPage'
import { SkeletonLines } from '@/shared/ui/basics'
import { Toasts } from '@/shared/ui/toast'
import { Layout } from './Layout'
import { LostPage, RouteError } from './RouteError'

function createQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        retry: (failures, error) => failures < 2 && error instanceof ApiError && (error.status === 0 || error.status >= 500),
        retryDelay: (attempt) => 600 * 2 ** attempt,
      },
    },
  })
}

function createRouter(queries: QueryClient) {
  // The data is asked for before the page is drawn, or while its code is still on its way.
  const listed = ({ request }: { request: Request }) => {
    prefetchTraces(queries, queryOf(new URL(request.url).searchParams, Date.now()))
    return null
  }
  return createBrowserRouter(
    [
      {
        Component: Layout,
        ErrorBoundary: RouteError,
        HydrateFallback: () => <SkeletonLines lines={8} />,
        children: [
          {
            ErrorBoundary: RouteError,
            children: [
              { index: true, loader: listed, shouldRevalidate: () => false, Component: TracesPage },
              { path: 'traces', loader: listed, shouldRevalidate: () => false, Component: TracesPage },
              {
                path: 'traces/:traceId',
                loader: ({ params }) => {
                  if (params.traceId) prefetchTrace(queries, params.traceId)
                  return null
                },
                shouldRevalidate: () => false,
                lazy: { Component: async () => (await import('@/features/trace/TracePage')).TracePage },
              },
              { path: 'traces/:traceId/replay', lazy: { Component: async () => (await import('@/features/replay/StartPage')).StartPage } },
              { path: 'replays', lazy: { Component: async () => (await import('@/features/replay/ReplaysPage')).ReplaysPage } },
              { path: 'replays/:replayId', lazy: { Component: async () => (await import('@/features/replay/ReplayPage')).ReplayPage } },
              { path: 'experiments/:experimentId', lazy: { Component: async () => (await import('@/features/replay/ExperimentPage')).ExperimentPage } },
              { path: 'compare', lazy: { Component: async () => (await import('@/features/replay/ComparePage')).ComparePage } },
              { path: 'dashboard', lazy: { Component: async () => (await import('@/features/dashboard/DashboardPage')).DashboardPage } },
              { path: 'agents', lazy: { Component: async () => (await import('@/features/agents/AgentsPage')).AgentsPage } },
              { path: 'settings', lazy: { Component: async () => (await import('@/features/settings/SettingsPage')).SettingsPage } },
              { path: '*', Component: LostPage },
            ],
          },
        ],
      },
    ],
    { basename: new URL(serverRoot()).pathname.replace(/\/$/, '') || '/' },
  )
}

export function App() {
  const [{ queries, router }] = useState(() => {
    const queries = createQueries()
    return { queries, router: createRouter(queries) }
  })
  return (
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
      <Toasts />
    </QueryClientProvider>
  )
}
