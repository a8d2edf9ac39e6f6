import { globalScope } from '@holdfast/core'

import type { EntryWritten, Observation } from '../check/observation.ts'
import type { Reachable } from './away-times.ts'
import type { Latency } from './latency.ts'

/** Something that was applied, for others to see. */
export interface Expected {
  readonly version: number
  readonly writes: readonly EntryWritten[]
  /** Scopes of the record. */
  readonly scopes: readonly string[]
}

/** A device, and what it has not seen yet in order of version. */
interface Reader {
  readonly disk: string
  user: string
  open: Expected[]
}

/** Which devices wait to see what, told by their cursors: a device has seen every version its cursor has passed. */
export class SightQueue {
  readonly #figures: { readonly online: Latency; readonly overall: Latency }
  readonly #isReachable: Reachable
  readonly #readers = new Map<string, Reader>()
  readonly #grants = new Map<string, ReadonlySet<string>>()

  constructor(figures: { readonly online: Latency; readonly overall: Latency }, isReachable: Reachable) {
    this.#figures = figures
    this.#isReachable = isReachable
  }

  observe(o: Observation): void {
    switch (o.kind) {
      case 'grants':
        this.#grants.set(o.user, new Set(o.scopes))
        return
      case 'identity':
        this.#reader(o.disk).user = o.user
        return
      case 'device-copied':
        // A copy has the same user; what it has not seen is told by its own cursor.
        this.#reader(o.to).user = this.#reader(o.disk).user
        return
      case 'cursor':
        if (o.epoch !== null) this.#see(this.#reader(o.disk), o.position, o.atMs)
        return
      case 'server-restored':
        for (const reader of this.#readers.values()) reader.open = []
        return
      default:
    }
  }

  /** Everybody who may see it waits for it from now on, but the device that wrote it. */
  expect(expected: Expected): void {
    const writer = expected.writes[0]?.disk
    if (writer === undefined) return
    for (const reader of this.#readers.values())
      if (reader.disk !== writer && this.#maySee(reader.user, expected.scopes)) reader.open.push(expected)
  }

  #maySee(user: string, scopes: readonly string[]): boolean {
    const granted = this.#grants.get(user)
    return scopes.some(
      (scope) => scope === globalScope || granted?.has(scope) === true || granted?.has('*') === true,
    )
  }

  #see(reader: Reader, position: number, atMs: number): void {
    let count = 0
    for (const { version, writes } of reader.open) {
      if (version > position) break
      count += 1
      for (const { disk, atMs: wroteMs } of writes) {
        const waitedMs = atMs - wroteMs
        this.#figures.overall.add(waitedMs)
        const isOnline =
          this.#isReachable(reader.disk, wroteMs, atMs) && this.#isReachable(disk, wroteMs, atMs)
        if (isOnline) this.#figures.online.add(waitedMs)
      }
    }
    if (count > 0) reader.open.splice(0, count)
  }

  #reader(disk: string): Reader {
    let reader = this.#readers.get(disk)
    if (!reader) this.#readers.set(disk, (reader = { disk, user: '', open: [] }))
    return reader
  }
}
