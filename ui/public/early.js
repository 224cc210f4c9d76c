// Runs before the first paint, while the page's code is on its way. A file, not inline: the page's
// policy allows no inline script.

// A light page never flashes dark.
try {
  var chosen = localStorage.getItem('agenttrace.theme')
} catch {
  chosen = null
}
var theme = chosen ? JSON.parse(chosen) : 'system'
if (theme !== 'light' && theme !== 'dark') {
  theme = matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark'
}
document.documentElement.dataset.theme = theme

// Spans take longest of all that a trace's page asks for: src/api/client.ts takes them from here.
var trace = /\/traces\/([^/]+)$/.exec(location.pathname)
if (trace) {
  var url = new URL(`api/traces/${trace[1]}/spans`, document.baseURI).href
  window.early = { url, answer: fetch(url) }
  // Whoever takes the answer is told of what went wrong.
  window.early.answer.catch(() => undefined)
}
