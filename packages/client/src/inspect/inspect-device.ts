import type { Schema } from '@holdfast/core'

import type { LocalReader } from '../local/local-database.ts'
import { readMeta } from '../local/meta.ts'
import { readShadow, type Shadow } from '../local/records.ts'
import { quoteName } from '../local/tables.ts'
import type { Identity } from '../sync-context.ts'

/** The server's copy of a record that has unsettled mutations. */
export interface InspectedShadow {
  readonly collection: string
  readonly record: string
  readonly shadow: Shadow
}

/** What stands in a device's database beside its rows: for a developer who looks, never for the app to decide by. */
export interface Inspection {
  readonly identity: Identity
  /** Version of the schema the tables were made for. */
  readonly schemaVersion: number
  /** Place in the feed up to which the device has applied, as the server spells it; null before the first sync. */
  readonly cursor: string | null
  /** Scopes the cursor covers. */
  readonly scopes: readonly string[]
  /** Rows by collection, as the app sees them. */
  readonly rowCounts: Readonly<Record<string, number>>
  /** Rows of the tables that hold what is under way. */
  readonly counts: {
    readonly outbox: number
    readonly shadows: number
    readonly deleted: number
    readonly staged: number
    readonly quarantined: number
    readonly retained: number
  }
  /** In the order of the oldest mutation, as many as were asked for. */
  readonly shadows: readonly InspectedShadow[]
}

/** What `inspect` is to look at. */
export interface InspectQuery {
  /** Shadows to give at most; 100 unless said. */
  readonly shadowRows?: number
}

/** Looks at everything from one state of the database. Reads only. Rules: OB-22. */
export async function inspectDevice(
  tx: LocalReader,
  known: { readonly schema: Schema; readonly identity: Identity },
  query: InspectQuery = {},
): Promise<Inspection> {
  const { schema, identity } = known
  const [counts] = await tx.all(
    `SELECT (SELECT count(*) FROM _outbox) AS outbox, (SELECT count(*) FROM _shadow) AS shadows,
       (SELECT count(*) FROM _deleted) AS deleted, (SELECT count(*) FROM _staging) AS staged,
       (SELECT count(DISTINCT collection || ' ' || record) FROM _quarantine) AS quarantined, (SELECT count(*) FROM _retained) AS retained`,
  )
  const cursor = await readMeta(tx, 'cursor')
  const scopes = await tx.all('SELECT name FROM _scopes ORDER BY n')
  const count = (name: string): number => Number(counts?.[name] ?? 0)
  return {
    identity,
    schemaVersion: schema.version,
    cursor: typeof cursor === 'string' ? cursor : null,
    scopes: scopes.map((row) => String(row['name'])),
    rowCounts: await countRows(tx, schema),
    counts: {
      outbox: count('outbox'),
      shadows: count('shadows'),
      deleted: count('deleted'),
      staged: count('staged'),
      quarantined: count('quarantined'),
      retained: count('retained'),
    },
    shadows: await readShadows(tx, schema, query.shadowRows ?? 100),
  }
}

async function countRows(tx: LocalReader, schema: Schema): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {}
  for (const { name } of schema.collections.values()) {
    const [row] = await tx.all(`SELECT count(*) AS count FROM ${quoteName(name)}`)
    counts[name] = Number(row?.['count'] ?? 0)
  }
  return counts
}

async function readShadows(tx: LocalReader, schema: Schema, limit: number): Promise<InspectedShadow[]> {
  const rows = await tx.all(
    `SELECT s.collection, s.record FROM _shadow s LEFT JOIN _outbox o ON o.record = s.record AND o.collection = s.collection
     GROUP BY s.collection, s.record ORDER BY min(o.seq), s.record LIMIT ?`,
    [limit],
  )
  const shadows: InspectedShadow[] = []
  for (const row of rows) {
    const [name, record] = [String(row['collection']), String(row['record'])]
    const collection = schema.collections.get(name)
    if (collection)
      shadows.push({ collection: name, record, shadow: await readShadow(tx, collection, record) })
  }
  return shadows
}
