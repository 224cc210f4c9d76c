/** Asks for the server's API key; the server keeps the session in a cookie no script can read. */
import type { FormEvent } from 'react'
import { useState } from 'react'
import { useLogin } from '@/api/queries'
import { Button } from '@/shared/ui/basics'

export function Login() {
  const [key, setKey] = useState('')
  const login = useLogin()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    login.mutate(key)
  }
  return (
    <main className="flex h-full items-center justify-center p-6">
      <form onSubmit={submit} className="flex w-80 flex-col gap-3 rounded-xl border border-line bg-panel p-6">
        <h1 className="text-base font-semibold">AgentTrace</h1>
        <label className="flex flex-col gap-1.5 text-muted">
          This server asks for its API key
          <input
            type="password"
            value={key}
            onChange={(e) => { setKey(e.target.value) }}
            autoComplete="current-password"
            autoFocus
            required
            className="h-8 rounded-md border border-line bg-bg px-2 text-text"
          />
        </label>
        {login.error && (
          <p role="alert" className="text-danger">
            {login.error.message}
          </p>
        )}
        <Button type="submit" look="solid" disabled={login.isPending || !key}>
          Sign in
        </Button>
        <p className="text-xs text-faint">It is the server’s setting AGENTTRACE_API_KEY.</p>
      </form>
    </main>
  )
}
