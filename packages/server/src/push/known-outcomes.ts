import type { Ranges } from '@holdfast/core'
import { intersectRanges } from '../devices/range-sets.ts'
import type { StoredDevice, StoredOutcome, StoreWriter } from '../store/store.ts'
import { writtenBefore } from './concurrent-fields.ts'
import type { Offer } from './offer.ts'
import type { Passage } from './session.ts'

/**
 * What was decided before about these keys, these numbers, the mutations these stand on, directly or through others of
 * their batch, and those that deletions have seen.
 */
export async function knownOutcomes(
  tx: StoreWriter,
  device: StoredDevice,
  {
    offers,
    passages,
  }: { readonly offers: readonly Offer[]; readonly passages: ReadonlyMap<string, Passage> },
): Promise<readonly StoredOutcome[]> {
  if (device.finals.length === 0) return []
  const ids = new Set(offers.map(({ id }) => id))
  for (const { after } of offers)
    for (let below = after; below !== null && !ids.has(below); below = passages.get(below)?.after ?? null)
      ids.add(below)
  for (const { mutation } of offers)
    for (const id of mutation ? writtenBefore(passages, mutation) : []) ids.add(id)
  const byId = await tx.outcomes(device.n, { ids: [...ids] })
  const repeats = new Set(byId.map(({ id, seq, hash }) => `${id} ${seq} ${hash}`))
  // Only numbers that are no plain repeat have to be searched for.
  const others = offers.filter(({ id, seq, hash }) => !repeats.has(`${id} ${seq} ${hash}`))
  const seqs = others.flatMap(({ covers }) => numbersOf(intersectRanges(covers, device.finals)))
  return [...byId, ...(await tx.outcomes(device.n, { seqs }))]
}

function numbersOf(ranges: Ranges): readonly number[] {
  return ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, at) => first + at))
}
