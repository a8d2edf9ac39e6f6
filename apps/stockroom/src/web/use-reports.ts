import { useEffect } from 'react'

import type { PersonId } from '../warehouse/people.ts'
import { useSyncStatus } from './hooks.ts'
import { useSession } from './session.tsx'
import { useNetwork } from './use-network.ts'

/** What a device tells the page it is shown in. */
export interface DeviceReport {
  readonly kind: 'stockroom report'
  readonly person: PersonId
  /** Changes and photos. */
  readonly toSendCount: number
  readonly conflictCount: number
  readonly deadLetterCount: number
  readonly hasSynced: boolean
  readonly isOffline: boolean
}

/** What that page tells the device. */
export interface DeviceOrder {
  readonly kind: 'stockroom order'
  readonly isOffline: boolean
}

/** Shown beside other devices, this one tells how it stands and lets its network be switched from outside. */
export function useReports(): void {
  const { person, device } = useSession()
  const { conditions } = device
  const status = useSyncStatus()
  const { isOffline } = useNetwork()
  useEffect(() => {
    if (window.parent === window || status === undefined) return
    const { attachments, pendingCount, conflictCount, deadLetterCount, lastSyncAt } = status
    const report: DeviceReport = {
      kind: 'stockroom report',
      person,
      toSendCount: pendingCount + attachments.uploads,
      conflictCount,
      deadLetterCount,
      hasSynced: lastSyncAt !== null,
      isOffline,
    }
    window.parent.postMessage(report, location.origin)
  }, [person, status, isOffline])
  useEffect(() => {
    const take = ({ origin, data }: MessageEvent<DeviceOrder>): void => {
      if (origin === location.origin && data?.kind === 'stockroom order')
        conditions.set({ isOffline: data.isOffline })
    }
    window.addEventListener('message', take)
    return () => window.removeEventListener('message', take)
  }, [conditions])
}
