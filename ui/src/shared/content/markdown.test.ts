import { expect, test } from 'vitest'
import { looksLikeMarkdown, parseBlocks, parseInline, safeHref } from './markdown'

test('headings, lists, code and quotes become blocks', () => {
  const blocks = parseBlocks('# Plan\n\n1. search\n2. write\n   - draft\n\n```py\nx < 1\n```\n> said\n\n---')

  expect(blocks.map((b) => b.kind)).toEqual(['heading', 'list', 'code', 'quote', 'rule'])
  expect(blocks[1]).toMatchObject({ ordered: true, start: 1 })
  expect(blocks[1]?.kind === 'list' && blocks[1].items[1]?.map((b) => b.kind)).toEqual(['paragraph', 'list'])
  expect(blocks[2]).toEqual({ kind: 'code', language: 'py', text: 'x < 1' })
})

test('a table keeps as many cells a row as its head', () => {
  const [table] = parseBlocks('| a | b |\n|---|---|\n| 1 |\n| 2 | 3 | 4 |')

  expect(table?.kind === 'table' && table.rows.map((row) => row.length)).toEqual([2, 2])
})

test('inline marks nest', () => {
  expect(parseInline('a **b `c`** _d_')).toEqual([
    { kind: 'text', text: 'a ' },
    { kind: 'strong', children: [{ kind: 'text', text: 'b ' }, { kind: 'code', text: 'c' }] },
    { kind: 'text', text: ' ' },
    { kind: 'em', children: [{ kind: 'text', text: 'd' }] },
  ])
})

test('markup stays text', () => {
  expect(parseInline('<script>alert(1)</script><img src=x onerror=y>')).toEqual([
    { kind: 'text', text: '<script>alert(1)</script><img src=x onerror=y>' },
  ])
})

test('a link that is no web address is only its text', () => {
  expect(parseInline('[run](javascript:alert)')).toEqual([{ kind: 'text', text: 'run' }])
  expect(safeHref('data:text/html,x')).toBeNull()
  expect(safeHref('https://example.org/a')).toBe('https://example.org/a')
})

test('snake_case and arithmetic are no emphasis', () => {
  expect(parseInline('search_the_web 2 * 3 * 4')).toEqual([{ kind: 'text', text: 'search_the_web 2 * 3 * 4' }])
})

test('plain prose is not taken for Markdown', () => {
  expect(looksLikeMarkdown('Nothing special here, 3 of 4.')).toBe(false)
  expect(looksLikeMarkdown('Do **this**')).toBe(true)
})

test('unclosed marks by the thousand are parsed in reasonable work', () => {
  expect(parseInline('*a '.repeat(3000)).length).toBeGreaterThan(0)
  expect(parseBlocks('>'.repeat(5000)).length).toBe(1)
})
