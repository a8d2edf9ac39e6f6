import { systemEnvironment } from '@holdfast/client'
import { createNetworkConditions, type NetworkSettings } from '@holdfast/react/inspector'
import type { Environment } from '@holdfast/core'

/** Where the pages of a device tell its workers how bad the network is, and a new worker asks. */
export function networkChannel(device: string): BroadcastChannel {
  return new BroadcastChannel(`stockroom network ${device}`)
}

/** The world of a device's worker, whose network is as bad as its pages say. */
export function environmentOf(device: string): Environment {
  const conditions = createNetworkConditions(systemEnvironment)
  const told = Promise.withResolvers<void>()
  const channel = networkChannel(device)
  channel.addEventListener('message', ({ data }: MessageEvent<NetworkSettings | 'ask'>) => {
    if (data === 'ask') return
    conditions.set(data)
    told.resolve()
  })
  channel.postMessage('ask')
  const { env } = conditions
  // A device that was reloaded in airplane mode shall not send its first request before it knows.
  return { ...env, fetch: async (request) => told.promise.then(() => env.fetch(request)) }
}
