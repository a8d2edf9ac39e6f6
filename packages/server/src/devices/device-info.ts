import { countRanges, overlapCount } from '@holdfast/core'
import type { DeviceInfo } from '../engine.ts'
import type { StoredDevice } from '../store/store.ts'

/** A device as an operator sees it, with what it announced and never sent. Rules: AU-6. */
export function deviceInfo(stored: StoredDevice): DeviceInfo {
  const { user, device, firstSeenAt, lastSeenAt, pending, finals } = stored
  const highestFinal = finals.at(-1)?.[1] ?? 0
  const announced = Math.max(pending?.highestSeq ?? 0, highestFinal)
  const arrived = overlapCount(finals, [[1, Math.max(1, announced)]])
  const missingCount = announced === 0 ? 0 : countRanges([[1, announced]]) - arrived
  return { user, device, firstSeenAt, lastSeenAt, pending, highestFinal, missingCount }
}
