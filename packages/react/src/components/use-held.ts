import { useCallback, useEffect, useState } from 'react'

import { useHoldfast } from '../holdfast-context.ts'

/** How long what came in the place of something else takes no click, ms: a double click is meant for the first. */
const heldMs = 500

/** Whether something has just taken the place of something else on the page, and the way to say that it does. */
export function useHeld(): { readonly isHeld: boolean; readonly hold: () => void } {
  const { env } = useHoldfast()
  const [holds, setHolds] = useState(0)
  const [isHeld, setHeld] = useState(false)
  useEffect(() => (holds === 0 ? undefined : env.setTimer(() => setHeld(false), heldMs)), [holds, env])
  const hold = useCallback(() => {
    setHeld(true)
    setHolds((count) => count + 1)
  }, [])
  return { isHeld, hold }
}
