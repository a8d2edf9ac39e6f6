import type { CollectionSchema } from '@holdfast/core'
import { capturePartition, captureStatements } from '../capture.ts'
import type { Naming } from '../columns.ts'
import { quoteName } from '../../sql.ts'
import type { TableShape } from './table-shape.ts'

/**
 * Capture of a table as it is: a partition fires its own triggers when it is named itself, so each gets them. Row
 * triggers are handed down by PostgreSQL. A partition that is emptied tells its own rows.
 */
export function captureTable(
  naming: Naming,
  collection: CollectionSchema,
  { kind, partitions }: Pick<TableShape, 'kind' | 'partitions'>,
): readonly string[] {
  const all = captureStatements(naming, collection)
  if (kind !== 'p') return all
  const quoted = partitions.map((parts) => parts.map(quoteName).join('.'))
  return [...all, ...quoted.flatMap((partition) => capturePartition(collection, partition))]
}
