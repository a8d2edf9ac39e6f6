import { beforeEach, describe, expect, test } from 'vitest'

import { createDiskScene, type DiskScene } from './disk-scene.ts'

const id = '0198c0de-0000-7000-8000-00000000000a'
const insert = `INSERT INTO items (id, name, stock, tags, wh) VALUES (?, ?, 0, '[]', 'w1')`

let scene: DiskScene

beforeEach(() => {
  scene = createDiskScene()
})

describe('what is seen', () => {
  test('[SIM-15] verdicts and the lines of the audit log are told after their commit, under the names of user and device', async () => {
    await scene.startServer()
    const db = await scene.open(scene.disk('d1'))
    const item = await db.items.insert({ name: 'Rope' })
    await db.items.insert({ name: 'elsewhere', wh: 'w2' })
    await scene.sync(db)
    const [{ device } = { device: '' }] = scene.told('identity')
    const [first, second] = scene.told('entry-written')
    expect(scene.told('outcome')).toMatchObject([
      { user: 'ann', device, seq: 1, covers: '1', id: first?.id, status: 'applied', code: null },
      {
        user: 'ann',
        device,
        seq: 2,
        id: second?.id,
        status: 'rejected',
        version: null,
        code: 'SCOPE_DENIED',
      },
    ])
    const [line] = scene.told('audit')
    expect(line).toMatchObject({
      n: 1,
      collection: 'items',
      record: item,
      op: 'create',
      user: 'ann',
      device,
      mutation: first?.id,
      before: null,
      after: { name: 'Rope', stock: 0, tags: [] },
      status: 'applied',
      decisions: [],
    })
    expect(line?.version).toBe(scene.told('outcome')[0]?.version)
    await db.close()
  })

  test('[SIM-15] what another program writes is told as the work of nobody', async () => {
    await scene.startServer()
    scene.serverDisk.write(insert, id, 'by hand')
    expect(scene.told('audit')).toMatchObject([
      { record: id, op: 'create', user: null, device: null, mutation: null, after: { name: 'by hand' } },
    ])
  })
})

describe('the process dies', () => {
  test('[SIM-17] killed before each statement of a push in turn, the state is the old or the new one', async () => {
    let at = 0
    for (let isUntouched = false; !isUntouched; at++) {
      scene = createDiskScene()
      await scene.startServer()
      const db = await scene.open(scene.disk('d1'))
      await db.transaction(async (tx) => {
        await tx.items.insert({ name: 'one' })
        await tx.items.insert({ name: 'two' })
      })
      let count = 0
      let isWriting = false
      scene.judgeServer = (sql) => {
        // The one write transaction of the push, from its first statement to the one behind its last.
        const isInside = isWriting || sql === 'BEGIN IMMEDIATE'
        isWriting = isInside && scene.serverDisk.isInTransaction === (sql !== 'BEGIN IMMEDIATE')
        return isInside && count++ === at ? 'kill' : 'run'
      }
      await scene.sync(db).catch(() => undefined)
      isUntouched = count <= at
      const dump = scene.serverDisk.dump()
      const stored = dump.collections['items']?.length
      expect([0, 2]).toContain(stored)
      expect(scene.told('outcome')).toHaveLength(stored ?? -1)
      expect(scene.told('audit')).toHaveLength(stored ?? -1)
      expect(dump.damage).toEqual([])
      scene.judgeServer = () => 'run'
      await scene.startServer()
      await scene.env.advance(120_000)
      await scene.sync(db)
      await scene.sync(db)
      expect(scene.serverDisk.dump().collections['items']).toHaveLength(2)
      expect(scene.told('outcome').map(({ status }) => status)).toEqual(['applied', 'applied'])
      await db.close()
    }
    expect(at).toBeGreaterThan(20)
  })

  test('[SIM-17] an old handle throws, and a new one finds what was committed', async () => {
    const old = scene.serverDisk.open()
    old.exec('CREATE TABLE t (x)')
    const statement = old.prepare('INSERT INTO t VALUES (?)')
    statement.run(1)
    old.exec('BEGIN')
    statement.run(2)
    scene.serverDisk.kill()
    expect(() => statement.run(3)).toThrow('is gone')
    expect(() => old.exec('COMMIT')).toThrow('is gone')
    expect([old.isOpen, old.isTransaction]).toEqual([false, false])
    expect(scene.serverDisk.open().prepare('SELECT x FROM t').all()).toEqual([{ x: 1 }])
  })

  test('[SIM-17] on a full disk a push fails with STORE_FULL and leaves nothing, however SQLite took it', async () => {
    await scene.startServer()
    const db = await scene.open(scene.disk('d1'))
    await db.items.insert({ name: 'Rope' })
    for (const part of ['INSERT INTO "items"', 'holdfast_outcomes', 'COMMIT', 'COMMIT']) {
      scene.judgeServer = (sql) => (sql.includes(part) ? 'full' : 'run')
      await scene.sync(db).catch(() => undefined)
      expect(scene.serverDisk.isInTransaction).toBe(false)
      expect(scene.serverDisk.read('SELECT * FROM items')).toEqual([])
    }
    scene.judgeServer = () => 'run'
    await scene.env.advance(120_000)
    await scene.sync(db)
    expect(scene.serverDisk.read('SELECT name FROM items')).toMatchObject([{ name: 'Rope' }])
    await db.close()
  })
})

describe('time and images', () => {
  test('[SIM-16] defaults, triggers and checks of the file know virtual time only', async () => {
    await scene.startServer()
    await scene.env.advance(86_400_123)
    scene.serverDisk.write(insert, id, 'dated')
    const now = '2026-11-21T10:00:00.123Z'
    expect(scene.serverDisk.read('SELECT created_at, server_updated_at FROM items')).toMatchObject([
      { created_at: now, server_updated_at: now },
    ])
    expect(scene.serverDisk.read('SELECT received_at FROM holdfast_audit')).toMatchObject([
      { received_at: now },
    ])
    expect(
      scene.serverDisk.read(
        "SELECT strftime('%Y', 'now') AS a, strftime('%d', 'now', '+1 day') AS b, strftime('%Y-%m-%d', '2020-02-29') AS c, strftime('%Y', 'x') AS d",
      ),
    ).toMatchObject([{ a: '2026', b: '22', c: '2020-02-29', d: null }])
    expect(() => scene.serverDisk.write('UPDATE items SET id = ?', 'x')).toThrow('never changes')
  })

  test('[SIM-17] an image that is put back says which verdicts are forgotten, and devices bring them again', async () => {
    await scene.startServer()
    const db = await scene.open(scene.disk('d1'))
    await db.items.insert({ name: 'old' })
    await scene.sync(db)
    const image = scene.serverDisk.image()
    await db.items.insert({ name: 'new' })
    await scene.sync(db)
    expect(() => scene.serverDisk.putBack(image)).toThrow('running server')
    scene.serverDisk.kill()
    scene.serverDisk.putBack(image)
    expect(scene.told('server-restored')).toMatchObject([
      { auditN: 1, forgotten: [{ user: 'ann', seq: 2, status: 'applied' }] },
    ])
    expect(scene.serverDisk.read('SELECT name FROM items')).toMatchObject([{ name: 'old' }])
    await scene.startServer()
    scene.serverDisk.write(insert, id, 'after')
    expect(scene.told('audit').map(({ n }) => n)).toEqual([1, 2, 2])
    await db.close()
  })

  test('[SIM-19] a dump tells live rows, deleted ones, the scopes of each by its fields, and conflicts', async () => {
    await scene.startServer()
    const db = await scene.open(scene.disk('d1'))
    const gone = await db.items.insert({ name: 'gone' })
    const kept = await db.items.insert({ name: 'kept', tags: ['x'], price: '1.50' })
    await scene.sync(db)
    await db.items.delete(gone)
    await scene.sync(db)
    const dump = scene.serverDisk.dump()
    expect(dump.collections['items']).toMatchObject([
      { id: kept, values: { name: 'kept', tags: ['x'], price: '1.50', shelf: null } },
    ])
    expect(dump.deleted['items']).toMatchObject([{ id: gone }])
    expect(dump.scopes).toEqual({ [`items/${kept}`]: ['w:w1'] })
    expect([dump.conflicts, dump.damage]).toEqual([[], []])
    await db.close()
    expect(createDiskScene().serverDisk.dump()).toMatchObject({ epoch: '', collections: {}, conflicts: [] })
  })
})
