/** How well what is typed fits a command. */

export interface Command {
  id: string
  label: string
  hint?: string
  keys?: string
  group: string
  run: () => void
}

/** Higher is better, 0 does not fit: every character in order, words' beginnings and runs count more. */
export function score(label: string, typed: string): number {
  const text = label.toLowerCase()
  const wanted = typed.toLowerCase().replace(/\s+/g, '')
  if (!wanted) return 1
  const at = text.indexOf(typed.trim().toLowerCase())
  if (at >= 0) return 100 - Math.min(50, at) + (at === 0 ? 20 : 0)
  let points = 0
  let from = 0
  let run = 0
  for (const char of wanted) {
    const found = text.indexOf(char, from)
    if (found < 0) return 0
    run = found === from ? run + 1 : 0
    points += 1 + run + (found === 0 || /[\s\-_./]/.test(text.charAt(found - 1)) ? 3 : 0)
    from = found + 1
  }
  return Math.min(49, points)
}

/** The commands that fit, best first; at most `limit`. */
export function rank(commands: readonly Command[], typed: string, limit = 30): Command[] {
  return commands
    .map((command) => ({ command, points: score(command.label, typed) }))
    .filter(({ points }) => points > 0)
    .sort((a, b) => b.points - a.points)
    .slice(0, limit)
    .map(({ command }) => command)
}
