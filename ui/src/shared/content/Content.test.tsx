// @vitest-environment jsdom
import { render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import { Content, ContentSection } from './Content'

vi.stubGlobal('ResizeObserver', class { observe() { /* jsdom lays nothing out */ } disconnect() { /* nothing to end */ } })

const HOSTILE = '<img src=x onerror="alert(1)"><script>alert(1)</script> [x](javascript:alert(1)) ![p](http://evil.example/p.png)'

test.each([['text', HOSTILE], ['Markdown', `# Title\n\n${HOSTILE}`], ['JSON', JSON.stringify({ [HOSTILE]: HOSTILE })], ['a chat', JSON.stringify([{ role: HOSTILE, content: HOSTILE }])]])(
  'hostile %s becomes no markup',
  (_kind, text) => {
    const { container } = render(<Content text={text} />)

    expect(container.querySelector('img, script, iframe, object, style, link')).toBeNull()
    expect(container.querySelector('a[href^="javascript"]')).toBeNull()
    expect(container.textContent).toContain('onerror')
  },
)

test('a reader can switch to the raw text', async () => {
  render(<ContentSection title="Output" text={'**bold**'} />)
  expect(screen.getByText('bold').tagName).toBe('STRONG')

  await userEvent.click(screen.getByRole('button', { name: 'Raw' }))

  expect(screen.getByText('**bold**')).toBeInTheDocument()
})

test('a JSON tree opens and closes', async () => {
  render(<Content text={JSON.stringify({ outer: { inner: { deep: 'treasure' } } })} />)
  expect(screen.queryByText('treasure')).toBeNull()

  await userEvent.click(screen.getByRole('button', { name: /inner/ }))

  expect(screen.getByText('treasure')).toBeInTheDocument()
})
