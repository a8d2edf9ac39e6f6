import { useEffect, useState } from 'react'

import { useHoldfast } from '../holdfast-context.ts'

/** The wall clock, ms since 1970, told again every `everyMs`; null on a server and while hydrating, where it would differ. */
export function useNow(everyMs: number): number | null {
  const { env } = useHoldfast()
  const [nowMs, setNowMs] = useState<number | null>(null)
  useEffect(() => {
    let cancel = (): void => undefined
    const tick = (): void => {
      setNowMs(env.now())
      cancel = env.setTimer(tick, everyMs)
    }
    tick()
    return () => cancel()
  }, [env, everyMs])
  return nowMs
}
