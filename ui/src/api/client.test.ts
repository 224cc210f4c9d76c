// @vitest-environment jsdom
import { expect, test, vi } from 'vitest'
import { ApiError, fetchOnce, serverRoot, unwrap } from './client'
import { backoff } from './live'

test('the server is where the page’s base says', () => {
  expect(serverRoot('https://tools.example/trace/')).toBe('https://tools.example/trace')
  expect(serverRoot('http://127.0.0.1:4318/')).toBe('http://127.0.0.1:4318')
})

test('a problem becomes an error that says what the server said', async () => {
  const response = new Response(null, { status: 422 })
  const error = { title: 'Unprocessable', status: 422, detail: 'Not valid.', errors: [{ at: 'query.limit', message: 'too large' }] }

  await expect(unwrap(Promise.resolve({ error, response }))).rejects.toMatchObject({
    status: 422,
    message: 'Not valid. query.limit: too large',
  })
})

test('no answer is an error too, and says so', async () => {
  await expect(unwrap(Promise.reject(new TypeError('fetch failed')))).rejects.toEqual(new ApiError(0, 'The AgentTrace server does not answer.'))
})

test('reconnecting waits longer each time, up to half a minute', () => {
  expect([0, 1, 2, 20].map(backoff)).toEqual([500, 1000, 2000, 30_000])
})

test('an answer that was asked for early is taken once', async () => {
  const url = 'http://127.0.0.1:4318/api/traces/ab/spans'
  window.early = { url, answer: Promise.resolve(new Response('early')) }
  const late = vi.spyOn(globalThis, 'fetch').mockImplementation(() => Promise.resolve(new Response('late')))
  const text = async (address: string) => (await fetchOnce(new Request(address))).text()

  expect(await text(url.replace('ab', 'cd'))).toBe('late')
  expect(await text(url)).toBe('early')
  expect(await text(url)).toBe('late')
  late.mockRestore()
})
