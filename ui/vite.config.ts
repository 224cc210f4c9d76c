import { fileURLToPath } from 'node:url'
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const server = process.env.AGENTTRACE_URL ?? 'http://127.0.0.1:4318'

/** The server writes `<base href>` into the page it serves; the development server does it here. */
function baseHref(): Plugin {
  return {
    name: 'base-href',
    apply: 'serve',
    transformIndexHtml: () => [{ tag: 'base', attrs: { href: '/' }, injectTo: 'head-prepend' }],
  }
}

export default defineConfig({
  base: './',
  plugins: [react(), tailwindcss(), baseHref()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    // A data: URI would break the policy `default-src 'self'`.
    assetsInlineLimit: 0,
    target: 'es2022',
    chunkSizeWarningLimit: 500,
    rolldownOptions: {
      output: {
        // What many pages share is one file: ten small ones are ten requests.
        codeSplitting: { groups: [{ name: 'shared', test: /lucide-react|src[\\/](api|shared[\\/](?!content))/ }] },
      },
    },
  },
  server: { proxy: { '/api': { target: server, ws: true }, '/v1': server, '/health': server } },
  test: {
    // Tests that need a page say so: `// @vitest-environment jsdom`.
    environment: 'node',
    // A busy machine is slow, not wrong.
    testTimeout: 60_000,
    setupFiles: ['./src/test-setup.ts'],
    include: ['src/**/*.test.{ts,tsx}'],
  },
})
