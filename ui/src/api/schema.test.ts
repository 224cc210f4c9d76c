import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import openapiTS, { astToString } from 'openapi-typescript'
import { expect, test } from 'vitest'

test('the committed types are those of the committed OpenAPI document; if not: npm run api', async () => {
  const made = astToString(await openapiTS(new URL('../../openapi.json', import.meta.url)))
  const committed = readFileSync(fileURLToPath(new URL('schema.ts', import.meta.url)), 'utf8')

  expect(committed.slice(committed.indexOf('export interface paths'))).toBe(made.slice(made.indexOf('export interface paths')))
})

test('npm ci works everywhere: every optional package of every platform is in the lock', () => {
  const lock = JSON.parse(readFileSync(fileURLToPath(new URL('../../package-lock.json', import.meta.url)), 'utf8')) as {
    packages: Record<string, { optionalDependencies?: Record<string, string>; hasInstallScript?: boolean }>
  }
  const wanted = Object.values(lock.packages).flatMap((p) => Object.keys(p.optionalDependencies ?? {}))

  expect(wanted.filter((name) => !(`node_modules/${name}` in lock.packages))).toEqual([])
})
