import { freshDatabase, type FreshDatabase, hasPostgres } from '@holdfast/testing/services'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const bin = fileURLToPath(new URL('../bin/holdfast.js', import.meta.url))
const schemaText = `
import { collection, defineSchema, text } from '@holdfast/core'
export const schema = defineSchema({
  version: 1,
  collections: { items: collection({ fields: { name: text() }, deletes: 'hard' }) },
})
`

let folder: string
let database: FreshDatabase
let client: Client
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  writeFileSync(join(folder, 'schema.ts'), schemaText)
  writeFileSync(join(folder, 'tables.json'), '{"items":{"table":"products","columns":{"name":"title"}}}')
  database = await freshDatabase()
  client = new Client({ connectionString: database.url })
  await client.connect()
  await client.query(
    'CREATE TABLE products (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL)',
  )
  await client.query(`INSERT INTO products (title) VALUES ('Rope'), ('Lamp')`)
})
afterEach(async () => {
  await client.end()
  await database.drop()
  rmSync(folder, { recursive: true, force: true })
})

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function run(command: string, ...args: readonly string[]): Promise<Ran> {
  const given = [command, '--schema', 'schema.ts', '--database', database.url, ...args]
  return new Promise((done) => {
    execFile(process.execPath, [bin, ...given], { cwd: folder }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

const mapped = ['--tables', 'tables.json']

// Each command is a process of its own, and a machine may be busy.
describe.skipIf(!hasPostgres())('the command on PostgreSQL', { timeout: 60_000 }, () => {
  test('[OP-33] [OP-34] migrate says what it does, tries it dry, does it, and has nothing to do then', async () => {
    const dry = await run('migrate', ...mapped, '--dry-run')
    expect(dry).toMatchObject({ code: 0, stderr: '' })
    expect(dry.stdout).toContain('ALTER TABLE "public"."products" ADD COLUMN IF NOT EXISTS version bigint')
    expect(dry.stdout).toMatch(/nothing was changed\n$/)
    expect((await client.query(`SELECT to_regnamespace('holdfast') AS made`)).rows).toEqual([{ made: null }])
    const done = await run('migrate', ...mapped)
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).toContain('✓ bring the rows of "public"."products" into the feed, in batches\n')
    expect(done.stdout).toMatch(/prepared for schema version 1; 2 rows were brought up\n$/)
    const again = await run('migrate', ...mapped)
    expect(again).toEqual({ code: 0, stdout: 'there is nothing to do\n', stderr: '' })
  })

  test('[OP-33] every reason against it is told, and the exit code is 1', async () => {
    await client.query('CREATE TABLE items (id bigint PRIMARY KEY, name json)')
    const { code, stdout } = await run('migrate')
    expect([code, stdout.split('\n')[0]]).toEqual([1, 'nothing was changed, because'])
    expect(stdout.match(/^✗/gm)).toHaveLength(2)
    writeFileSync(join(folder, 'tables.json'), '{"items":"products"}')
    expect((await run('migrate', ...mapped)).stderr).toMatch(
      /^holdfast: tables file tables\.json is not of the form .*\n$/,
    )
  })

  test('[OP-35] [OP-36] doctor finds what reconcile mends', async () => {
    expect(await run('doctor', ...mapped)).toMatchObject({ code: 1 })
    await run('migrate', ...mapped)
    const well = await run('doctor', ...mapped)
    expect(well).toMatchObject({ code: 0, stderr: '' })
    expect(well.stdout).toContain('✓ every row is in the feed as it is\n')
    await client.query(
      `SET session_replication_role = replica; INSERT INTO products (title) VALUES ('Unseen')`,
    )
    const ill = await run('doctor', ...mapped)
    expect(ill.code).toBe(1)
    expect(ill.stdout).toContain('✗ 1 row of "public"."products" are not in the feed')
    const dry = await run('reconcile', ...mapped, '--dry-run')
    expect(dry.stdout).toBe(
      'items: 1 rows to bring into the feed, 0 to be deleted in it\n0 transactions lack a position\nnothing was changed\n',
    )
    const mended = await run('reconcile', ...mapped)
    expect(mended).toEqual({
      code: 0,
      stdout: 'items: 1 rows brought into the feed, 0 deleted in it\n0 transactions were given a position\n',
      stderr: '',
    })
    expect(await run('doctor', ...mapped)).toMatchObject({ code: 0 })
  })

  test('[OP-35] a database that cannot be reached is one line, without its password', async () => {
    const url = 'postgres://ann:secret@127.0.0.1:1/none'
    const { code, stdout, stderr } = await run('migrate', '--database', url)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^holdfast: migrate stopped: the database cannot be reached[^\n]*\n$/)
    expect(stderr).not.toContain('secret')
  })
})
