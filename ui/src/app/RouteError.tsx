/** What stands where a page cannot be shown. */
import { Link, useRouteError } from 'react-router'
import { ErrorState } from '@/shared/ui/states'

export function RouteError() {
  const error = useRouteError()
  const message = error instanceof Error ? error.message : String(error)
  const stale = /dynamically imported module|module script|Failed to fetch/i.test(message)
  return (
    <ErrorState
      title={stale ? 'This page was updated on the server' : 'This page failed to draw'}
      detail={stale ? 'Reload to get the new version.' : message}
      retry={() => { window.location.reload() }}
    />
  )
}

export function LostPage() {
  return (
    <div className="flex h-full flex-col items-center justify-center gap-2 p-6">
      <h1 className="text-base font-semibold">There is no such page</h1>
      <Link to="/" className="text-accent hover:underline">
        Go to the traces
      </Link>
    </div>
  )
}
