/** The live feed: reconnects by itself and catches up from the last change it has seen. */
import { serverRoot } from './client'

export interface Change {
  cursor: number
  trace_id: string
  version: number
  analysed: boolean
}

export type LiveState = 'connecting' | 'open' | 'closed'

/** What the feed says: `hello` on the first connection, `trace` for a change. */
type Frame = { type: 'hello'; cursor: number } | ({ type: 'trace' } & Change) | { type: 'ping' }

/** Milliseconds before the next attempt: doubles up to half a minute. */
export function backoff(attempt: number): number {
  return Math.min(30_000, 500 * 2 ** Math.min(attempt, 10))
}

/** Follow changes, of one trace or of all. Returns what ends it. */
export function follow(trace: string | null, onChange: (change: Change) => void, onState: (state: LiveState) => void): () => void {
  let socket: WebSocket | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  let cursor: number | null = null
  let attempt = 0
  let ended = false

  const connect = () => {
    if (ended) return
    onState('connecting')
    const url = new URL(`${serverRoot()}/api/live`)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    if (trace) url.searchParams.set('trace', trace)
    if (cursor !== null) url.searchParams.set('after', String(cursor))
    socket = new WebSocket(url)
    socket.onmessage = (event) => {
      const frame = read(event.data)
      if (frame?.type === 'hello') {
        attempt = 0
        cursor ??= frame.cursor
        onState('open')
      } else if (frame?.type === 'trace') {
        cursor = frame.cursor
        onChange(frame)
      }
    }
    socket.onclose = () => {
      if (ended) return
      onState('closed')
      timer = setTimeout(connect, backoff(attempt++))
    }
  }
  const again = () => {
    if (document.visibilityState !== 'visible' || socket?.readyState !== WebSocket.CLOSED) return
    clearTimeout(timer)
    attempt = 0
    connect()
  }
  connect()
  document.addEventListener('visibilitychange', again)
  window.addEventListener('online', again)
  return () => {
    ended = true
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', again)
    window.removeEventListener('online', again)
    socket?.close()
  }
}

function read(data: unknown): Frame | null {
  try {
    return JSON.parse(String(data)) as Frame
  } catch {
    return null
  }
}
