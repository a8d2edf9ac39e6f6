import { systemEnvironment } from '@holdfast/client'
import type { Environment } from '@holdfast/core'

/** How bad the network is. */
export interface NetworkSettings {
  /** Added to every request, ms: half on the way there, half on the way back. */
  readonly latencyMs: number
  /** Share of requests that are lost, in [0, 1]: half of them before the server sees them, half with the answer. */
  readonly lossRate: number
  /** Nothing gets through. */
  readonly isOffline: boolean
}

/** A network that a developer makes worse while an app runs. */
export interface NetworkConditions {
  /** Give it to `openClient` as `env`. */
  readonly env: Environment
  /** As they are now; the same object until they change. */
  readonly settings: () => NetworkSettings
  readonly set: (change: Partial<NetworkSettings>) => void
  /** Calls `listener` when they change. Returns the way to stop. */
  readonly subscribe: (listener: () => void) => () => void
}

/** Puts a network that can be made worse in front of an environment's own. Rules: RE-15. */
export function createNetworkConditions(env: Environment = systemEnvironment): NetworkConditions {
  let settings: NetworkSettings = { latencyMs: 0, lossRate: 0, isOffline: false }
  const listeners = new Set<() => void>()
  const fetch = async (request: Request): Promise<Response> => {
    const { latencyMs, lossRate, isOffline } = settings
    if (isOffline) throw lost('the network was switched off')
    const isLost = env.random() < lossRate
    const isLostOnTheWay = isLost && env.random() < 0.5
    await wait(env, latencyMs / 2, request.signal)
    if (isLostOnTheWay) throw lost('the request was lost')
    const response = await env.fetch(request)
    await wait(env, latencyMs / 2, request.signal)
    if (!isLost && !settings.isOffline) return response
    await response.body?.cancel()
    throw lost('the answer was lost')
  }
  return {
    env: { ...env, fetch },
    settings: () => settings,
    set: (change) => {
      settings = { ...settings, ...change }
      for (const listener of listeners) listener()
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

/** What `fetch` throws when the network fails. */
function lost(why: string): TypeError {
  return new TypeError(`fetch failed: ${why}`)
}

function wait(env: Environment, ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const cancel = env.setTimer(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, ms)
    const stop = (): void => {
      cancel()
      reject(signal.reason instanceof Error ? signal.reason : lost('the request was called off'))
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}
