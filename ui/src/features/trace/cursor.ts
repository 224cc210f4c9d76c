/** Where the arrow keys are: ahead of what is drawn, so that of two quick presses neither is lost. */
import { useCallback, useLayoutEffect, useRef } from 'react'

/** Returns how to read the place and how to move it; what is drawn sets it anew. */
export function useCursor(drawn: number): [read: () => number, move: (to: number) => void] {
  const at = useRef(drawn)
  useLayoutEffect(() => {
    at.current = drawn
  }, [drawn])
  return [useCallback(() => at.current, []), useCallback((to: number) => { at.current = to }, [])]
}
