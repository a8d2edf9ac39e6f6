import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'

import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { collection, counter, defineSchema, text } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const bin = fileURLToPath(new URL('../bin/holdfast.js', import.meta.url))
const oldNode = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'18.19.0'}})`
const record = '0197a1b2-0000-7000-8000-000000000001'

const schemaText = `
import { collection, counter, defineSchema, text } from '@holdfast/core'
export const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: { warehouseId: text(), name: text(), stock: counter() },
      scope: 'warehouse:{warehouseId}',
      indexes: [['name']],
    }),
  },
})
`

const deviceSchema = defineSchema({
  version: 1,
  collections: {
    items: collection({ fields: { warehouseId: text(), name: text(), stock: counter() } }),
  },
})

let folder: string
let children: ChildProcess[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  children = []
  write('schema.ts', schemaText)
})

afterEach(async () => {
  for (const child of children) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
  rmSync(folder, { recursive: true, force: true })
})

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

interface Running {
  readonly child: ChildProcess
  readonly output: { stdout: string; stderr: string }
  /** Resolves with the exit code when the command has ended and said everything. */
  readonly ended: Promise<number | null>
}

function start(
  args: readonly string[],
  options: { node?: readonly string[]; script?: string } = {},
): Running {
  // As on a build machine, where colour libraries turn colours on though nobody watches.
  const env = { ...process.env, CI: 'true', NO_COLOR: undefined, FORCE_COLOR: undefined }
  const child = spawn(process.execPath, [...(options.node ?? []), options.script ?? bin, ...args], {
    cwd: folder,
    env,
  })
  children.push(child)
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (bytes: Buffer) => (output.stdout += bytes.toString()))
  child.stderr.on('data', (bytes: Buffer) => (output.stderr += bytes.toString()))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return { child, output, ended }
}

async function run(
  ...args: readonly string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { output, ended } = start(args)
  return { code: await ended, ...output }
}

interface Dev extends Running {
  readonly url: string
  readonly ask: (user: string, route: string, body?: unknown) => Promise<{ status: number; body: unknown }>
  readonly stop: (signal?: NodeJS.Signals) => Promise<number | null>
}

/** What starts the server that is tried out, on any port unless said. */
function devOn({ port = 0, data = 'data' } = {}): readonly string[] {
  return ['dev', '--schema', 'schema.ts', '--port', String(port), '--data', data]
}

async function dev(args: readonly string[] = [], node: readonly string[] = []): Promise<Dev> {
  const running = start([...devOn(), ...args], { node })
  const url = await new Promise<string>((ready, failed) => {
    running.child.stdout?.on('data', () => {
      const match = /^listening on (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(running.output.stdout)
      if (match?.[1]) ready(match[1])
    })
    void running.ended.then((code) => failed(new Error(`ended with ${code}: ${running.output.stderr}`)))
  })
  return {
    ...running,
    url,
    ask: async (user, route, body) => {
      const [method = '', path = ''] = route.split(' ')
      const response = await fetch(url + path, {
        method,
        body: body === undefined ? undefined : JSON.stringify(body),
        headers: { authorization: `Bearer dev:${user}` },
      })
      return { status: response.status, body: await response.json() }
    },
    stop: (signal = 'SIGTERM') => {
      running.child.kill(signal)
      return running.ended
    },
  }
}

describe('words', () => {
  test.each([[[]], [['help']], [['--help']], [['-h']]])('[OP-20] %j explains the commands', async (args) => {
    const { code, stdout } = await run(...args)
    expect([code, stdout]).toEqual([0, expect.stringContaining('holdfast dev --schema FILE')])
  })

  test('[OP-20] each command explains itself, and the version is told', async () => {
    const names = ['dev', 'doctor', 'inspect', 'migrate', 'reconcile']
    const told = await Promise.all(names.flatMap((name) => [run('help', name), run(name, '--help')]))
    expect(told.map(({ stdout }) => /^holdfast \w+ /.exec(stdout)?.[0].trim())).toEqual(
      names.flatMap((name) => [`holdfast ${name}`, `holdfast ${name}`]),
    )
    const versions = await Promise.all([run('version'), run('--version')])
    const version = /^holdfast \d+\.\d+\.\d+ \(node \d+\.\d+\.\d+\)\n$/
    expect(versions.map(({ stdout }) => version.test(stdout))).toEqual([true, true])
  })

  test.each([
    [['fly'], 'there is no command "fly"'],
    [['help', 'fly'], 'there is no command "fly"'],
    [['dev', '--speed', '9'], '--speed'],
    [['dev'], 'dev needs --schema FILE'],
    [['dev', '--schema'], '--schema'],
    [['dev', 'now', '--schema', 'schema.ts'], '"now"'],
    [['migrate', '--schema', 'schema.ts'], 'migrate needs --schema FILE and --database URL'],
    [['reconcile', '--database', 'postgres://x'], 'reconcile needs --schema FILE and --database URL'],
    [
      ['migrate', '--schema', 'schema.ts', '--database', 'mysql://x'],
      '--database is an address as postgres://',
    ],
    [['inspect'], 'inspect needs a folder'],
    [['inspect', '.', '--port', '1'], 'inspect takes no --port'],
    [['inspect', 'nowhere'], 'does not exist'],
    [['inspect', '.'], 'holds no database of Holdfast'],
    [['dev', '--schema', 'schema.ts', '--port', '70000'], '--port is a number from 0 to 65535'],
    [['dev', '--schema', 'schema.ts', '--port', 'x'], '--port is a number from 0 to 65535'],
  ])('[OP-20] %j is one line of what is wrong', async (args, message) => {
    const { code, stdout, stderr } = await run(...args)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^holdfast: [^\n]+\n$/)
    expect(stderr).toContain(message)
  })
})

describe('dev', () => {
  test('[OP-21, OP-22, OP-24] it serves a schema from any folder, and what it answered outlives it', async () => {
    const first = await dev()
    const created = await first.ask('ann', 'POST /records/items', {
      id: record,
      warehouseId: '1',
      name: 'Laptop',
    })
    expect(created).toMatchObject({ status: 201, body: { id: record, name: 'Laptop', stock: 0 } })
    expect(
      (await fetch(`${first.url}/records/items`, { headers: { authorization: 'Bearer ann' } })).status,
    ).toBe(401)
    expect(
      (await fetch(`${first.url}/records/items`, { headers: { authorization: 'Bearer dev:' } })).status,
    ).toBe(401)
    expect((await fetch(`${first.url}/records/items`)).status).toBe(401)
    expect([await first.stop(), first.output]).toEqual([
      0,
      { stdout: `listening on ${first.url}\n`, stderr: '' },
    ])
    const second = await dev()
    expect(await second.ask('ben', `GET /records/items/${record}`)).toMatchObject({
      status: 200,
      body: { version: 1 },
    })
    expect(await second.stop('SIGINT')).toBe(0)
  })

  test('[AT-17] it keeps attachments beside its database', async () => {
    const { url, stop } = await dev()
    const created = await fetch(`${url}/attachments`, {
      method: 'POST',
      headers: { authorization: 'Bearer dev:ann', 'tus-resumable': '1.0.0', 'upload-length': '1' },
    })
    expect([created.status, created.headers.get('tus-resumable')]).toEqual([400, '1.0.0'])
    expect(await stop()).toBe(0)
  })

  test('[OP-21] a schema may be plain JavaScript and its default export', async () => {
    write('schema.mjs', schemaText.replace('export const schema =', 'export default'))
    const running = await dev(['--schema', 'schema.mjs'])
    expect(await running.stop()).toBe(0)
    expect(running.output.stderr).toBe('')
  })

  test('[OP-24] a stream that is open does not keep it, and a second signal changes nothing', async () => {
    const running = await dev()
    const stream = await fetch(`${running.url}/sync/stream`, { headers: { authorization: 'Bearer dev:ann' } })
    const body: ReadableStream<Uint8Array> | null = stream.body
    const first = await body?.getReader().read()
    expect(new TextDecoder().decode(first?.value)).toBe('event: poke\ndata: {}\n\n')
    running.child.kill('SIGTERM')
    expect(await running.stop('SIGTERM')).toBe(0)
  })

  test('[OP-24, PR-3] after SIGKILL everything that was answered is there', async () => {
    const first = await dev()
    const ids: string[] = []
    for (let index = 0; index < 20; index++) {
      const { body } = await first.ask('ann', 'POST /records/items', { warehouseId: '1', name: `n${index}` })
      ids.push((body as { id: string }).id)
    }
    await first.stop('SIGKILL')
    const second = await dev()
    for (const id of ids) expect((await second.ask('ann', `GET /records/items/${id}`)).status).toBe(200)
    await second.stop()
  })

  test('[OP-21] a schema with conflicts for reviewers is served, and everybody is one', async () => {
    write('schema.ts', schemaText.replace('collection({', 'collection({ review: true,'))
    const running = await dev()
    const { status } = await running.ask('ann', 'GET /records/items')
    expect([status, await running.stop()]).toEqual([200, 0])
  })

  test('[OP-23] a JSON file says who sees what, and changes take effect', async () => {
    write('scopes.json', JSON.stringify({ ann: ['warehouse:1'], root: ['*'], '*': [] }))
    const { ask, output, stop } = await dev(['--scopes', 'scopes.json'])
    await ask('ann', 'POST /records/items', { id: record, warehouseId: '1', name: 'Laptop' })
    const sees = async (user: string): Promise<number> =>
      (await ask(user, `GET /records/items/${record}`)).status
    expect([await sees('ann'), await sees('ben'), await sees('root')]).toEqual([200, 404, 200])
    write('scopes.json', JSON.stringify({ ann: [], '*': ['warehouse:1'] }))
    expect([await sees('ann'), await sees('ben')]).toEqual([404, 200])
    write('scopes.json', '{"ann": ')
    expect([await sees('ann'), await sees('ben')]).toEqual([404, 200])
    expect(output.stderr).toMatch(/^holdfast: scopes file .* cannot be read: [^\n]*\n$/)
    rmSync(join(folder, 'scopes.json'))
    expect(await sees('ben')).toBe(200)
    await stop()
  })

  test('[OP-23] a module says who sees what', async () => {
    write('scopes.mjs', `export const scopes = async ({ id }) => (id === 'ann' ? ['warehouse:1'] : [])`)
    const { ask, stop } = await dev(['--scopes', 'scopes.mjs'])
    await ask('ann', 'POST /records/items', { id: record, warehouseId: '1', name: 'Laptop' })
    expect((await ask('ann', `GET /records/items/${record}`)).status).toBe(200)
    expect((await ask('ben', `GET /records/items/${record}`)).status).toBe(404)
    await stop()
  })

  test('[OP-1, OP-2] --verbose is a JSON line for each request, without values', async () => {
    const { ask, output, stop } = await dev(['--verbose'])
    await ask('ann', 'POST /records/items', { warehouseId: '1', name: 'canary' })
    await stop()
    const [line] = output.stderr.trim().split('\n')
    expect(JSON.parse(line ?? '')).toMatchObject({
      level: 'info',
      accountId: 'ann',
      route: '/records/{collection}',
    })
    expect(output.stderr).not.toContain('canary')
  })

  test('[OP-25] a bad schema, scopes or data file is one line', async () => {
    const bad: readonly (readonly [string, readonly [string, string], string])[] = [
      ['', ['--schema', 'nowhere.ts'], 'does not exist'],
      ['export const x = 1', ['--schema', 'bad.ts'], 'exports no schema'],
      ['export const schema = {', ['--schema', 'bad.ts'], 'cannot be loaded'],
      ['export const a = 1\nexport const schema = 5 5', ['--schema', 'bad.ts'], 'bad.ts, line 2: '],
      [`import 'left-pad-of-nobody'`, ['--schema', 'bad.ts'], 'cannot be loaded'],
      [
        `import { defineSchema } from '@holdfast/core'\nexport default defineSchema({ version: 0, collections: {} })`,
        ['--schema', 'bad.ts'],
        'version must be',
      ],
      ['[]', ['--scopes', 'bad.json'], 'is not of the form'],
      ['{"ann": 5}', ['--scopes', 'bad.json'], 'is not of the form'],
      ['{', ['--scopes', 'bad.json'], 'cannot be read'],
    ]
    await Promise.all(
      bad.map(async ([text, [option, name], message], index) => {
        const file = text === '' ? name : `${index}-${name}`
        if (text !== '') write(file, text)
        const { code, stdout, stderr } = await run(...devOn(), option, file)
        expect([message, code, stdout, stderr.split('\n').length]).toEqual([message, 1, '', 2])
        expect(stderr).toContain(message)
      }),
    )
  })

  test('[OP-25] a data file that is damaged, foreign or newer is left as it is', async () => {
    mkdirSync(join(folder, 'data'))
    const file = join(folder, 'data', 'holdfast.db')
    const files: readonly (readonly [string, () => void])[] = [
      ['text', () => writeFileSync(file, 'this is no database. '.repeat(500))],
      ['foreign', () => sql(file, 'CREATE TABLE theirs (x); PRAGMA application_id = 7')],
      [
        'newer',
        () =>
          sql(
            file,
            'CREATE TABLE holdfast_state (schema_version, schema); INSERT INTO holdfast_state VALUES (1, NULL); PRAGMA application_id = 1215252065; PRAGMA user_version = 99',
          ),
      ],
    ]
    for (const [kind, make] of files) {
      rmSync(file, { force: true })
      make()
      const before = readFileSync(file)
      const { code, stdout, stderr } = await run(...devOn())
      expect([kind, code, stdout, stderr.split('\n').length]).toEqual([kind, 1, '', 2])
      expect(stderr).toContain('cannot be used')
      expect([kind, readFileSync(file).equals(before)]).toEqual([kind, true])
    }
  })

  test('[OP-25] a port in use is one line', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    const { code, stderr } = await run(...devOn({ port }))
    expect([code, stderr]).toEqual([1, `holdfast: port ${port} is in use.\n`])
    taken.close()
  })
})

describe('doctor', () => {
  async function givenData(): Promise<string> {
    const running = await dev()
    await running.ask('ann', 'POST /records/items', { id: record, warehouseId: '1', name: 'Laptop' })
    await running.stop()
    return join(folder, 'data', 'holdfast.db')
  }

  test('[OP-26] a healthy server database is well, and stays as it is', async () => {
    const file = await givenData()
    const before = readFileSync(file)
    const { code, stdout } = await run('doctor', '--data', 'data', '--schema', 'schema.ts')
    expect(stdout).toContain('✓ tables, indexes and triggers are those of the schema\n')
    expect(stdout).toContain('✓ every row is in the feed at its version\n')
    expect([code, stdout.includes('✗'), stdout.endsWith('all is well\n')]).toEqual([0, false, true])
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  test('[OP-26] rows that were written without the triggers are found', async () => {
    const file = await givenData()
    const other = record.replace(/1$/, '2')
    sql(
      file,
      `DROP TRIGGER holdfast_items_insert; DROP TRIGGER holdfast_items_own_insert;
      INSERT INTO items (id, warehouseId, name) VALUES ('${other}', '1', 'Desk')`,
    )
    const { code, stdout } = await run('doctor', '--data', 'data', '--schema', 'schema.ts')
    expect(code).toBe(1)
    expect(stdout).toContain('✗ the trigger holdfast_items_insert is missing\n')
    expect(stdout).toContain('✗ 1 rows of items are not in the feed')
    expect(stdout).toContain('✗ 1 rows of items have no version')
    expect(stdout).toContain('Start the server once with this schema')
  })

  test('[OP-26] the remedy it names mends the database', async () => {
    const file = await givenData()
    const other = record.replace(/1$/, '2')
    const triggers = `SELECT sql FROM sqlite_schema WHERE name LIKE 'holdfast_items_%insert'`
    const database = new DatabaseSync(file)
    const kept = database
      .prepare(triggers)
      .all()
      .map((row) => String(row['sql']))
    database.exec('DROP TRIGGER holdfast_items_insert; DROP TRIGGER holdfast_items_own_insert')
    database.exec(`INSERT INTO items (id, warehouseId, name) VALUES ('${other}', '1', 'Desk')`)
    for (const text of kept) database.exec(text)
    database.close()
    expect((await run('doctor', '--data', 'data')).code).toBe(1)
    sql(file, `UPDATE "items" SET id = id WHERE id = '${other}'`)
    expect(await run('doctor', '--data', 'data', '--schema', 'schema.ts')).toMatchObject({ code: 0 })
  })

  test.each([
    ['nothing there', () => undefined, 'does not exist'],
    ['a text', (file: string) => writeFileSync(file, 'x'.repeat(5_000)), 'is no SQLite database'],
    [
      'a foreign database',
      (file: string) => sql(file, 'CREATE TABLE theirs (x)'),
      'is no server database of Holdfast',
    ],
    [
      'a cut database',
      (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 8_192)),
      'malformed',
    ],
  ])('[OP-26] %s is told apart', async (kind, make, message) => {
    if (kind === 'a cut database') await givenData()
    else mkdirSync(join(folder, 'data'))
    make(join(folder, 'data', 'holdfast.db'))
    const { code, stdout, stderr } = await run('doctor', '--data', 'data')
    expect([code, stderr]).toEqual([1, ''])
    expect(stdout).toMatch(new RegExp(`✗ [^\\n]*${message}[^\\n]*\\n  [A-Z]`))
  })

  test('[OP-26] without a database it looks at the machine, and at a schema', async () => {
    const { code, stdout } = await run('doctor', '--schema', 'schema.ts')
    expect(stdout).toMatch(
      /^✓ Node \d+\.\d+\.\d+\n✓ SQLite \d+\.\d+\.\d+\n✓ schema version 1 with 1 collections\n/,
    )
    expect(code).toBe(0)
    expect((await run('doctor', '--schema', 'nowhere.ts')).code).toBe(1)
  })
})

describe('inspect', () => {
  test('[OP-27] a server database is shown, as text and as JSON, and not changed', async () => {
    const running = await dev()
    await running.ask('ann', 'POST /records/items', { id: record, warehouseId: '1', name: 'Laptop' })
    await running.stop()
    const file = join(folder, 'data', 'holdfast.db')
    const before = readFileSync(file)
    const { code, stdout } = await run('inspect', 'data')
    expect(code).toBe(0)
    expect(stdout).toContain(`${file} (server database)`)
    expect(stdout).toMatch(new RegExp(`1  warehouse:1  items       ${record}  put`))
    expect(stdout).not.toContain('\u001b')
    const told = JSON.parse((await run('inspect', 'data', '--json')).stdout) as { databases: unknown }
    expect(told.databases).toMatchObject([{ file, kind: 'server', facts: { 'rows in items': 1 } }])
    expect(readFileSync(file).equals(before)).toBe(true)
    expect(existsSync(`${file}-journal`)).toBe(false)
  })

  test('[OP-27] a device database is shown with its outbox, and not changed', async () => {
    const file = join(folder, 'device.db')
    const client = await openClient({ schema: deviceSchema, storage: sqliteStorage(file) })
    const id = await client.items.insert({ warehouseId: '1', name: 'Laptop\u001b[31m' })
    await client.items.increment(id, { stock: 2 })
    await client.close()
    const database = new DatabaseSync(file)
    database.prepare('INSERT INTO _meta (key, value) VALUES (?, ?)').run('title', 'Shop\u001b]0;mine\u0007')
    database.close()
    const before = readFileSync(file)
    const { code, stdout } = await run('inspect', '.')
    expect([code, stdout.includes('\u001b')]).toEqual([0, false])
    expect(stdout).toContain(`${file} (device database)`)
    expect(stdout).toMatch(/ {2}rows in items {2}1\n/)
    expect(stdout).toMatch(/ {2}outbox 2\n/)
    expect(stdout).toMatch(new RegExp(`1  items +${id}  create  pending`))
    expect(stdout).toMatch(new RegExp(`2  items +${id}  update  pending`))
    const told = JSON.parse((await run('inspect', 'device.db', '--json')).stdout) as { databases: unknown[] }
    expect(told.databases).toMatchObject([{ kind: 'device', tables: expect.arrayContaining([]) }])
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  test('[OP-27] what cannot be read is told of after the others, which are shown', async () => {
    const running = await dev()
    await running.stop()
    const torn = join(folder, 'data', 'a-copy.db')
    writeFileSync(torn, readFileSync(join(folder, 'data', 'holdfast.db')).fill(1, 100, 4_096))
    const { code, stdout, stderr } = await run('inspect', 'data')
    expect([code, stdout]).toEqual([1, expect.stringContaining('holdfast.db (server database)')])
    expect(stderr).toMatch(/^holdfast: \S+a-copy\.db cannot be read: [^\n]+\n$/)
    const { databases } = JSON.parse((await run('inspect', 'data', '--json')).stdout) as {
      databases: unknown[]
    }
    expect(databases).toHaveLength(1)
  })
})

test.runIf(process.platform === 'linux')(
  '[OP-25] a data folder that no file system makes is one line, and no wait without end',
  async () => {
    const { code, stdout, stderr } = await run(...devOn({ data: '/proc/x/y' }))
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^holdfast: folder \/proc\/x\/y cannot be made: ENOENT[^\n]+\n$/)
  },
)

describe('an old Node', () => {
  test('[OP-28] the command runs on the Node that was installed beside it', async () => {
    const { output, ended } = start(['version'], { node: ['--import', oldNode] })
    expect(await ended).toBe(0)
    expect(output.stdout).toMatch(/^holdfast \d+\.\d+\.\d+ \(node 24\./)
    const failing = start(['fly'], { node: ['--import', oldNode] })
    expect(await failing.ended).toBe(1)
    expect(failing.output.stderr).toContain('there is no command "fly"')
  })

  test('[OP-28, OP-24] signals reach it, and it ends with the one who started it', async () => {
    const first = await dev([], ['--import', oldNode])
    expect(await first.stop('SIGTERM')).toBe(0)
    const second = await dev([], ['--import', oldNode])
    second.child.kill('SIGKILL')
    await expect
      .poll(() =>
        fetch(second.url).then(
          () => 'up',
          () => 'down',
        ),
      )
      .toBe('down')
  })

  test('[OP-28] where there is none, one line says what is needed', async () => {
    const script = join(folder, 'bin', 'holdfast.mjs')
    mkdirSync(join(folder, 'bin'))
    copyFileSync(bin, script)
    const { output, ended } = start(['version'], { node: ['--import', oldNode], script })
    expect(await ended).toBe(1)
    expect(output).toEqual({ stdout: '', stderr: 'holdfast needs Node 22.18 or newer; this is 18.19.0.\n' })
  })
})

function sql(file: string, text: string): void {
  const database = new DatabaseSync(file)
  database.exec(text)
  database.close()
}
