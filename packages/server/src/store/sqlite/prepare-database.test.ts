import { collection, defineSchema, text } from '@holdfast/core'
import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createServer, type HoldfastServer } from '../../http/create-server.ts'
import { systemEnvironment } from '../../system-environment.ts'
import { sqliteLayout } from './create-tables.ts'
import { sqliteStore } from './sqlite-store.ts'

const schema = defineSchema({ version: 1, collections: { items: collection({ fields: { name: text() } }) } })

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-layout-'))
  path = join(folder, 'server.db')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function open(): Promise<HoldfastServer> {
  return createServer({
    schema,
    store: sqliteStore(path),
    env: systemEnvironment(),
    authenticate: () => ({ id: 'ann' }),
    scopes: () => ['global'],
  })
}

function inFile<Result>(work: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(path)
  try {
    return work(database)
  } finally {
    database.close()
  }
}

/** What takes a file back from a layout to the one before it. */
const backFrom: Readonly<Record<number, string>> = {
  11: 'DROP TABLE holdfast_erasing; DROP INDEX holdfast_escrow_by_record',
  9: 'DROP TABLE holdfast_escrow; ALTER TABLE holdfast_audit DROP COLUMN accepted_by',
  8: 'DROP TABLE holdfast_parked; DROP TABLE holdfast_consumers',
  7: 'ALTER TABLE holdfast_audit DROP COLUMN was',
  6: 'DROP TABLE holdfast_receipts',
  5: `DROP TABLE holdfast_folded; DROP INDEX holdfast_outcomes_by_id;
      CREATE INDEX holdfast_outcomes_by_id ON holdfast_outcomes (device, id)`,
  4: 'ALTER TABLE holdfast_outcomes DROP COLUMN stood_on',
  3: `ALTER TABLE holdfast_state ADD COLUMN schema TEXT NOT NULL DEFAULT '';
      UPDATE holdfast_state SET schema = (SELECT described FROM holdfast_schema); DROP TABLE holdfast_schema`,
  2: 'DROP TABLE holdfast_openings; ALTER TABLE holdfast_outcomes DROP COLUMN folded',
}

test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
  '[FE-12] a file of layout %i is brought to the newest, with all that is in it',
  async (layout) => {
    const first = await open()
    await first.close()
    let triggersOfNew: readonly unknown[] = []
    const layoutOfNew = inFile((database) => {
      database.exec("INSERT INTO items (id, name) VALUES ('018f0000-0000-7000-8000-000000000001', 'Rope')")
      triggersOfNew = triggerTexts(database)
      return tableTexts(database)
    })
    inFile((database) => {
      for (let from = sqliteLayout; from > layout; from--) database.exec(backFrom[from] ?? '')
      // Triggers are of no layout but the newest.
      database.exec('DROP TRIGGER holdfast_items_own_update')
      database.exec(`PRAGMA user_version = ${layout}`)
    })
    const again = await open()
    await again.close()
    inFile((database) => {
      expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: sqliteLayout })
      expect(database.prepare('SELECT name FROM items').all()).toEqual([{ name: 'Rope' }])
      expect(database.prepare('SELECT record, op FROM holdfast_feed').all()).toMatchObject([{ op: 'put' }])
      expect(tableTexts(database)).toEqual(layoutOfNew)
      expect(triggerTexts(database)).toEqual(triggersOfNew)
    })
  },
)

/** The columns of every table of ours, whatever their order, and the indexes. */
function tableTexts(database: DatabaseSync): readonly unknown[] {
  const indexes = database
    .prepare(`SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index' ORDER BY name`)
    .all()
  const columns = database
    .prepare(
      `SELECT t.name AS "table", c.name AS "column", c.type FROM sqlite_schema t, pragma_table_info(t.name) c
       WHERE t.type = 'table' ORDER BY 1, 2`,
    )
    .all()
  return [...indexes, ...columns]
}

function triggerTexts(database: DatabaseSync): readonly unknown[] {
  return database.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name").all()
}
