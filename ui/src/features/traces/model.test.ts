import { expect, test } from 'vitest'
import { isFiltered, nextSort, queryOf, viewOf, withParam } from './model'

const NOW = Date.parse('2026-03-01T12:34:56.789Z')
const params = (text: string) => new URLSearchParams(text)

test('the address becomes a query', () => {
  expect(queryOf(params('q=plan&status=error&agent=critic&page=3&size=25&sort=-cost&since=1h'), NOW)).toMatchObject({
    q: 'plan', status: 'error', agent: 'critic', offset: 50, limit: 25, sort: '-cost', since: '2026-03-01T11:34:00.000Z',
  })
})

test('nonsense in the address is left out', () => {
  expect(queryOf(params('status=maybe&page=-4&size=7&sort=name&joined=7'), NOW)).toMatchObject({ status: undefined, offset: 0, limit: 50, sort: '-start', joined: undefined })
})

test('a new filter starts at the first page', () => {
  expect(withParam(params('page=4&q=x'), 'status', 'ok').toString()).toBe('q=x&status=ok')
  expect(withParam(params('page=4&q=x'), 'page', '5').toString()).toBe('page=5&q=x')
  expect(withParam(params('q=x'), 'q', null).toString()).toBe('')
})

test('a column sorts downwards first', () => {
  expect(nextSort('-start', 'cost')).toBe('-cost')
  expect(nextSort('-cost', 'cost')).toBe('cost')
})

test('a saved view keeps filters and order, not the page', () => {
  expect(viewOf(params('page=4&q=x&sort=-cost&size=25'))).toBe('q=x&sort=-cost')
  expect(isFiltered(params('page=2'))).toBe(false)
  expect(isFiltered(params('agent=a'))).toBe(true)
})
