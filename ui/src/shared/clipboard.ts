/** Copy text, and say so. */
import { toast } from './ui/toast'

export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    toast(`${what} copied`)
  } catch {
    // Plain http on another host has no clipboard API.
    toast(copyBySelection(text) ? `${what} copied` : 'This browser does not let pages copy')
  }
}

function copyBySelection(text: string): boolean {
  const area = document.createElement('textarea')
  area.value = text
  area.style.position = 'fixed'
  area.style.opacity = '0'
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  return done
}
