import { DatabaseSync } from 'node:sqlite'

import { Client } from 'pg'

import { chaosSchema } from './chaos-schema.ts'

/** Our own tables that an audit reads, with the columns it reads. */
const ourTables = {
  holdfast_audit: [
    'holdfast.audit',
    ['mutation', 'record', 'status', 'version', 'before', 'after', 'decisions'],
  ],
  holdfast_conflicts: ['holdfast.conflicts', ['parts', 'resolution']],
} as const

/** What a PostgreSQL server holds, as the file that a SQLite server would have left: one audit reads both. */
export async function copyDatabase(url: string, path: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const file = new DatabaseSync(path)
  try {
    for (const collection of chaosSchema.collections.values()) {
      const fields = collection.fields.map(({ name }) => name)
      const columns = ['id', ...fields, 'version', 'deleted_at']
      await copyTable(client, file, { from: `public."${collection.name}"`, to: collection.name, columns })
    }
    for (const [to, [from, columns]] of Object.entries(ourTables))
      await copyTable(client, file, { from, to, columns })
  } finally {
    file.close()
    await client.end()
  }
}

/** Queued pushes that nobody has decided. */
export async function undecidedCount(url: string): Promise<number> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ n: string }>(
      'SELECT count(*) AS n FROM holdfast.receipts WHERE answer IS NULL',
    )
    return Number(rows[0]?.n)
  } finally {
    await client.end()
  }
}

interface TableCopy {
  readonly from: string
  readonly to: string
  readonly columns: readonly string[]
}

/** Numbers stay numbers; everything else is text, JSON without blanks as SQLite stores it. */
async function copyTable(
  client: Client,
  file: DatabaseSync,
  { from, to, columns }: TableCopy,
): Promise<void> {
  const { rows } = await client.query<Record<string, unknown>>(
    `SELECT ${columns.map((name) => `"${name}"`).join(', ')} FROM ${from}`,
  )
  file.exec(`CREATE TABLE ${to} (${columns.map((name) => `"${name}"`).join(', ')})`)
  const insert = file.prepare(`INSERT INTO ${to} VALUES (${columns.map(() => '?').join(', ')})`)
  for (const row of rows) insert.run(...columns.map((name) => heldAs(name, row[name])))
}

const numbers = new Set(['version', 'stock'])

function heldAs(name: string, value: unknown): string | number | null {
  if (value === null || value === undefined) return null
  if (numbers.has(name)) return Number(value)
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'string' ? value : JSON.stringify(value)
}
