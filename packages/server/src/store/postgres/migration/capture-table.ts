import type { CollectionSchema } from '@holdfast/core'
import { captureStatements, functionName, triggerNames } from '../capture.ts'
import { type Naming, quoteName } from '../columns.ts'
import type { TableShape } from './table-shape.ts'

/**
 * Capture of a table as it is: a partition fires its own triggers when it is named itself, so each gets them. Row
 * triggers are handed down by PostgreSQL. A partition that is emptied tells its own rows, and a partitioned table that
 * is emptied empties its partitions.
 */
export function captureTable(
  naming: Naming,
  collection: CollectionSchema,
  { kind, partitions }: Pick<TableShape, 'kind' | 'partitions'>,
): readonly string[] {
  const all = captureStatements(naming, collection)
  if (kind !== 'p') return all
  return [
    ...all.filter((sql) => !isTriggerOf(sql, triggerNames.truncated)),
    ...partitions.flatMap((part) => capturePartition(naming, collection, part)),
  ]
}

function capturePartition(
  naming: Naming,
  collection: CollectionSchema,
  part: readonly [string, string],
): readonly string[] {
  const shared = functionName(collection, 'truncated')
  const own = `holdfast.${quoteName(`${collection.name}_truncated:${part.join('.')}`.slice(0, 63))}`
  return captureStatements(naming.inTable(part), collection)
    .filter(
      (sql) =>
        (/ TRIGGER /.test(sql.slice(0, 40)) && !isTriggerOf(sql, triggerNames.row)) ||
        sql.startsWith(`CREATE OR REPLACE FUNCTION ${shared}(`),
    )
    .map((sql) => sql.replace(`${shared}(`, `${own}(`))
}

function isTriggerOf(sql: string, name: string): boolean {
  return sql.startsWith(`CREATE TRIGGER ${name} `) || sql.startsWith(`DROP TRIGGER IF EXISTS ${name} `)
}
