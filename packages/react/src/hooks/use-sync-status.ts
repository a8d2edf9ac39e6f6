import type { SyncStatus } from '@holdfast/client'

import { type StartOnClient, useSource } from './use-source.ts'

const start: StartOnClient<SyncStatus> = (client) => (tell) => client.status.subscribe(tell)

/** How things stand between this device and its server; undefined until it is known, and on a server. Rules: RE-6. */
export function useSyncStatus(): SyncStatus | undefined {
  return useSource('status', start).value
}
