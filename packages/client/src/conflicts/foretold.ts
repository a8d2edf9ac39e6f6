import { type Foretold, limits, replayMutations, type Schema } from '@holdfast/core'
import type { LocalReader } from '../local/local-database.ts'
import { recordKey } from '../local/record-key.ts'
import { readShadow } from '../local/records.ts'
import { mutationOf } from '../outbox/entry.ts'
import { entriesOfRecord } from '../outbox/outbox.ts'

/** A pending mutation that will meet a conflict or be refused, as far as this device can tell. */
export interface ForetoldConflict extends Foretold {
  readonly collection: string
  readonly record: string
}

/** What was foretold of a record, and of which state of it. */
interface Known {
  readonly state: string
  readonly hints: readonly ForetoldConflict[]
}

/** What of a mutation has a say in its replay, and in whether its hint still counts. */
const entryState =
  "e.seq || ' ' || e.status || ' ' || e.hash || ' ' || e.base_version || ' ' || coalesce(e.after, '')"

/**
 * Foretells conflicts whenever somebody looks. A record is replayed again only when the server's copy of it or its
 * mutations are others than at the look before. Rules: CF-6.
 */
export class Foretelling {
  readonly #schema: Schema
  #knownByRecord: ReadonlyMap<string, Known> = new Map()

  constructor(schema: Schema) {
    this.#schema = schema
  }

  /**
   * What is foretold of the mutations the server has not ruled on: a hint, never an outcome. At most
   * `limits.foretoldRecords` records are looked at, the oldest mutations first. Reads only.
   */
  async list(tx: LocalReader): Promise<readonly ForetoldConflict[]> {
    const rows = await tx.all(
      // Only what was written on an older copy than the device has by now can meet anything.
      `SELECT o.collection, o.record, min(o.seq) AS first, s.version || ' ' || coalesce(s.server_updated_at, '') || (
         SELECT group_concat(${entryState}) FROM _outbox AS e WHERE e.record = o.record AND e.collection = o.collection) AS state
       FROM _outbox o JOIN _shadow s ON s.collection = o.collection AND s.record = o.record AND s.version > o.base_version
       WHERE o.status IN ('pending', 'sending', 'held') AND NOT o.escrow GROUP BY o.collection, o.record ORDER BY first LIMIT ?`,
      [limits.foretoldRecords],
    )
    const known = new Map<string, Known>()
    for (const row of rows) {
      const [collection, record, state] = [String(row.collection), String(row.record), String(row.state)]
      const key = recordKey({ collection, record })
      const before = this.#knownByRecord.get(key)
      const hints = before?.state === state ? before.hints : await this.#foretell(tx, collection, record)
      known.set(key, { state, hints })
    }
    this.#knownByRecord = known
    return [...known.values()].flatMap(({ hints }) => hints)
  }

  async #foretell(tx: LocalReader, name: string, record: string): Promise<readonly ForetoldConflict[]> {
    const collection = this.#schema.collections.get(name)
    if (!collection) return []
    const { snapshot } = await readShadow(tx, collection, record)
    const entries = await entriesOfRecord(tx, name, record)
    const open = new Set(
      entries.filter(({ status }) => status !== 'dead' && status !== 'conflicted').map(({ id }) => id),
    )
    const { foretold } = replayMutations(collection, snapshot, entries.map(mutationOf))
    return foretold
      .filter(({ mutation }) => open.has(mutation))
      .map((hint) => ({ ...hint, collection: name, record }))
  }
}
