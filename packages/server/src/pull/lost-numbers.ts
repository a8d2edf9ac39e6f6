import {
  coveredIds,
  keyEndLength,
  type Outcome,
  parseRanges,
  type Ranges,
  rangesOf,
  unionRanges,
} from '@holdfast/core'
import { subtractRanges } from '../devices/range-sets.ts'
import type { PullOptions } from '../engine.ts'
import type { StoredDevice, StoreReader } from '../store/store.ts'

/**
 * Of the numbers that a device has settled, those that this server has no outcome of, or one of another mutation: a copy of
 * the device may have been the first to use the number here. Undefined when none were named. Rules: PL-24.
 */
export async function lostNumbers(
  tx: StoreReader,
  device: StoredDevice | null,
  { settled, settledKeys = '' }: Pick<PullOptions, 'settled' | 'settledKeys'>,
): Promise<Ranges | undefined> {
  if (settled === undefined) return undefined
  const named = parseRanges(settled)
  const unknown = subtractRanges(named, device?.finals ?? [])
  const [first, last] = [named[0]?.[0], named.at(-1)?.[1]]
  if (!device || settledKeys === '' || first === undefined || last === undefined) return unknown
  const keys = keysByNumber(named, settledKeys)
  // Made by the store and by nobody else.
  const outcomes = JSON.parse(await tx.outcomesText(device.n, [[first, last]])) as readonly Outcome[]
  const foreign = outcomes.flatMap(({ id, covers, folded }) =>
    [...coveredIds({ id, covers: parseRanges(covers), folded })].flatMap(([number, key]) =>
      key.endsWith(keys.get(number) ?? '') ? [] : [number],
    ),
  )
  return unionRanges([...unknown, ...rangesOf(foreign)])
}

/** The end of the key of each number. */
function keysByNumber(named: Ranges, ends: string): ReadonlyMap<number, string> {
  const keys = new Map<number, string>()
  for (const [first, last] of named)
    for (let number = first; number <= last; number++) {
      const at = keys.size * keyEndLength
      keys.set(number, ends.slice(at, at + keyEndLength))
    }
  return keys
}
