/** Text widths in the fonts of the page. */
import { useEffect, useState } from 'react'
import type { Measure } from './model'

let context: CanvasRenderingContext2D | null = null

function measureIn(font: string): Measure {
  const widths = new Map<string, number>()
  return (text) => {
    const known = widths.get(text)
    if (known !== undefined) return known
    context ??= document.createElement('canvas').getContext('2d')
    let width = text.length * 7
    if (context) {
      context.font = font
      width = context.measureText(text).width
    }
    widths.set(text, width)
    return width
  }
}

/** A measure for `font`; another one once the page's own fonts have arrived. */
export function useMeasure(font: string): Measure {
  const [measure, setMeasure] = useState<Measure>(() => measureIn(font))
  useEffect(() => {
    let gone = false
    void document.fonts.load(font).then((loaded) => {
      if (!gone && loaded.length) setMeasure(() => measureIn(font))
    })
    return () => {
      gone = true
    }
  }, [font])
  return measure
}

/** The text, cut with an ellipsis to `width` pixels. */
export function fit(text: string, width: number, measure: Measure): string {
  if (measure(text) <= width) return text
  let low = 0
  let high = text.length
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (measure(`${text.slice(0, middle)}…`) <= width) low = middle
    else high = middle - 1
  }
  return `${text.slice(0, low)}…`
}
