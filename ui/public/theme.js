// Runs before the first paint, so that a light page never flashes dark. A file, not inline: the
// page's policy allows no inline script.
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
