/** The typed client, for queries.ts only. Addresses are relative to where the server put the page. */
import createClient from 'openapi-fetch'
import type { paths } from './schema'
import type { Problem } from './types'

/** Where the server is reached, without a slash at the end: `<base href>` says so. */
export function serverRoot(base = document.baseURI): string {
  return new URL('.', base).href.replace(/\/$/, '')
}

declare global {
  interface Window {
    /** What public/early.js asked for before this code was here; whoever takes the answer removes it. */
    early?: { url: string; answer: Promise<Response> }
  }
}

/** Fetch, or take the answer that is on its way since before the first paint. */
export function fetchOnce(request: Request): Promise<Response> {
  const early = window.early
  if (early?.url !== request.url || request.method !== 'GET') return globalThis.fetch(request)
  delete window.early
  return early.answer
}

export const client = createClient<paths>({ baseUrl: serverRoot(), fetch: fetchOnce })

/** An answer that is an error, with what the server said about it. `status` 0: no answer at all. */
export class ApiError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'ApiError'
    this.status = status
  }
}

/** The data of an answer, or an ApiError. */
export async function unwrap<T>(answer: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  let settled
  try {
    settled = await answer
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'The AgentTrace server does not answer.')
  }
  const { data, error, response } = settled
  if (!response.ok) {
    const problem = (typeof error === 'object' && error !== null ? error : {}) as Partial<Problem>
    const fields = problem.errors?.map((field) => `${field.at}: ${field.message}`).join('; ')
    throw new ApiError(response.status, [problem.detail ?? problem.title ?? response.statusText, fields].filter(Boolean).join(' '))
  }
  return data as T
}
