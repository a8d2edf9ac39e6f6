import { triggerNames } from '../capture.ts'
import type { Connection } from '../connection.ts'

/** A column of the host's. */
export interface ColumnShape {
  readonly name: string
  /** As SQL writes it, with length or precision. */
  readonly type: string
  /** Without them; of a domain what it stands on. */
  readonly base: string
  readonly isEnum: boolean
  readonly isNullable: boolean
  /** GENERATED ALWAYS: nobody else may write it. */
  readonly isGenerated: boolean
  readonly hasDefault: boolean
}

/** An index of the host's, or ours. */
export interface IndexShape {
  readonly name: string
  /** NULL stands for an expression. */
  readonly columns: readonly (string | null)[]
  readonly isUnique: boolean
  readonly isPrimary: boolean
  readonly isValid: boolean
  readonly predicate: string | null
}

/** What the catalog says about a table. */
export interface TableShape {
  /** Letter of pg_class: r is a table, p a partitioned one. */
  readonly kind: string
  readonly isUnlogged: boolean
  /** Whether this role may do what the owner may. */
  readonly isOwned: boolean
  readonly owner: string
  /** Whether tables inherit from it, or it from one, other than as partitions. */
  readonly isInherited: boolean
  readonly hidesRows: boolean
  /** About how many rows, -1 when nobody has counted. */
  readonly rows: number
  readonly columns: ReadonlyMap<string, ColumnShape>
  readonly indexes: readonly IndexShape[]
  /** All below it, as schema and name. */
  readonly partitions: readonly (readonly [string, string])[]
  readonly constraints: ReadonlySet<string>
  /** Triggers of the host, of it or of what is below it, that change rows after ours has looked at them. */
  readonly lateTriggers: readonly string[]
}

const tableSql = `SELECT c.oid::text AS oid, c.relkind::text AS kind, c.relpersistence = 'u' AS unlogged, c.reltuples AS rows,
  pg_has_role(c.relowner, 'USAGE') AS owned, pg_get_userbyid(c.relowner)::text AS owner, c.relforcerowsecurity AS hides,
  EXISTS (SELECT 1 FROM pg_inherits i JOIN pg_class k ON k.oid = i.inhrelid
    WHERE (i.inhparent = c.oid OR i.inhrelid = c.oid) AND NOT k.relispartition) OR c.relispartition AS inherited
  FROM pg_class c WHERE c.oid = to_regclass($1)`

const columnsSql = `SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type,
  format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) AS base, t.typtype = 'e' AS enum,
  NOT a.attnotnull AS nullable, a.attgenerated <> '' OR a.attidentity = 'a' AS generated,
  a.atthasdef OR a.attidentity <> '' AS defaulted
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped`

const indexesSql = `SELECT k.relname::text AS name, i.indisunique AS sole, i.indisprimary AS primary, i.indisvalid AS valid,
  pg_get_expr(i.indpred, i.indrelid) AS predicate,
  (SELECT json_agg(a.attname ORDER BY n) FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY x (attnum, n)
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = x.attnum AND x.attnum > 0)::text AS columns
  FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid WHERE i.indrelid = $1::oid ORDER BY 1`

const partitionsSql = `SELECT n.nspname::text AS namespace, c.relname::text AS name
  FROM pg_partition_tree($1::oid) p JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE p.level > 0 ORDER BY 1, 2`

/** Triggers of one kind fire by name, compared by bytes: BEFORE (2), for each row (1), at INSERT (4) or UPDATE (16). */
const lateTriggersSql = `SELECT DISTINCT t.tgname::text AS name FROM pg_trigger t
  WHERE (t.tgrelid = $1::oid OR t.tgrelid IN (SELECT p.relid FROM pg_partition_tree($1::oid) p)) AND NOT t.tgisinternal
  AND t.tgenabled <> 'D' AND (t.tgtype & 3) = 3 AND (t.tgtype & 20) <> 0 AND t.tgname::text COLLATE "C" > $2 ORDER BY 1`

/** Reads a table's shape; null when nothing has that name, which is quoted. */
export async function readTable(db: Connection, table: string): Promise<TableShape | null> {
  const row = await db.get(tableSql, table)
  if (!row) return null
  const oid = String(row['oid'])
  const columns = await db.all(columnsSql, oid)
  const indexes = await db.all(indexesSql, oid)
  const partitions = row['kind'] === 'p' ? await db.all(partitionsSql, oid) : []
  const constraints = await db.all(
    'SELECT conname::text AS name FROM pg_constraint WHERE conrelid = $1::oid',
    oid,
  )
  const late = await db.all(lateTriggersSql, oid, triggerNames.row)
  return {
    kind: String(row['kind']),
    isUnlogged: row['unlogged'] === true,
    isOwned: row['owned'] === true,
    owner: String(row['owner']),
    isInherited: row['inherited'] === true,
    hidesRows: row['hides'] === true,
    rows: Number(row['rows']),
    columns: new Map(
      columns.map((column) => [
        String(column['name']),
        {
          name: String(column['name']),
          type: String(column['type']),
          base: String(column['base']),
          isEnum: column['enum'] === true,
          isNullable: column['nullable'] === true,
          isGenerated: column['generated'] === true,
          hasDefault: column['defaulted'] === true,
        },
      ]),
    ),
    indexes: indexes.map((index) => ({
      name: String(index['name']),
      // Built by the query above.
      columns: JSON.parse(String(index['columns'])) as (string | null)[],
      isUnique: index['sole'] === true,
      isPrimary: index['primary'] === true,
      isValid: index['valid'] === true,
      predicate: typeof index['predicate'] === 'string' ? index['predicate'] : null,
    })),
    partitions: partitions.map((part) => [String(part['namespace']), String(part['name'])] as const),
    constraints: new Set(constraints.map((constraint) => String(constraint['name']))),
    lateTriggers: late.map(({ name }) => String(name)),
  }
}
