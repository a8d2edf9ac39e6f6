import { describe, expect, test } from 'vitest'

import { itemsOf, type ShopClient } from '../scenarios/shop-world.ts'
import type { DeviceDisk } from './device-disk.ts'
import { createDiskScene, type DiskScene } from './disk-scene.ts'

const names = (disk: DeviceDisk): readonly unknown[] =>
  disk.read('SELECT name FROM items ORDER BY name').map((row) => row['name'])

async function insertMany(db: ShopClient, count: number): Promise<void> {
  for (let index = 0; index < count; index++) await db.items.insert({ name: `n${index}` })
}

/** Whether a promise is over when nothing goes on any more that needs no time. */
async function isOver(scene: DiskScene, work: Promise<unknown>): Promise<boolean> {
  let over = false
  const note = (): void => {
    over = true
  }
  work.then(note, note)
  await scene.env.settle()
  return over
}

describe('the process dies', () => {
  test('[SIM-10] what was not committed is undone, nothing of that life is ever over, and the next one works', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1')
    const db = await scene.open(disk)
    await db.items.insert({ name: 'kept' })
    const device = disk.read("SELECT value FROM _meta WHERE key = 'device'")
    scene.judgeDevice = (sql) => (sql === 'COMMIT' ? 'kill' : 'run')
    const lost = db.items.insert({ name: 'lost' })
    expect(await isOver(scene, lost)).toBe(false)
    expect(await isOver(scene, itemsOf(db))).toBe(false)
    expect(await isOver(scene, db.close())).toBe(false)
    scene.judgeDevice = () => 'run'
    expect(names(disk)).toEqual(['kept'])
    const again = await scene.open(disk)
    await again.items.insert({ name: 'later' })
    expect(names(disk)).toEqual(['kept', 'later'])
    expect(disk.read("SELECT value FROM _meta WHERE key = 'device'")).toEqual(device)
    await again.close()
  })

  test('[SIM-10] killed before each statement of a write in turn, all of it is there or nothing', async () => {
    let at = 0
    for (let isUntouched = false; !isUntouched; at++) {
      const scene = createDiskScene()
      const disk = scene.disk('d1')
      const db = await scene.open(disk)
      let count = 0
      scene.judgeDevice = () => (count++ === at ? 'kill' : 'run')
      const work = db.transaction(async (tx) => {
        await tx.items.insert({ name: 'one' })
        await tx.items.insert({ name: 'two' })
      })
      isUntouched = await isOver(scene, work)
      expect(names(disk)).toEqual(isUntouched ? ['one', 'two'] : [])
      expect(scene.told('entry-written')).toHaveLength(isUntouched ? 2 : 0)
      expect(disk.read('SELECT seq FROM _outbox')).toHaveLength(isUntouched ? 2 : 0)
    }
    expect(at).toBeGreaterThan(5)
  })

  test('[SIM-10] a process that is no longer alive leaves no open transaction and answers nothing', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1')
    let isAlive = true
    const connection = await disk.driver(() => isAlive).open()
    await connection.exec('CREATE TABLE t (x)')
    await connection.run('BEGIN')
    await connection.run('INSERT INTO t VALUES (1)')
    isAlive = false
    expect(await isOver(scene, connection.run('COMMIT'))).toBe(false)
    expect(disk.isInTransaction).toBe(false)
    expect(disk.read('SELECT * FROM t')).toEqual([])
  })
})

describe('faults of statements', () => {
  test('[SIM-11] on a full disk a write is refused with STORE_FULL and leaves nothing, however SQLite took it', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1')
    const db = await scene.open(disk)
    for (const table of ['items', '_outbox', 'COMMIT', 'items', '_outbox', 'COMMIT']) {
      scene.judgeDevice = (sql) => (sql.includes(table) ? 'full' : 'run')
      await expect(db.items.insert({ name: table })).rejects.toMatchObject({ code: 'STORE_FULL' })
      expect(disk.isInTransaction).toBe(false)
      scene.judgeDevice = () => 'run'
      expect(names(disk)).toEqual([])
    }
    await db.items.insert({ name: 'fits' })
    expect(names(disk)).toEqual(['fits'])
    expect(scene.told('entry-written')).toHaveLength(1)
    await db.close()
  })

  test('[SIM-11] a full disk ends the transaction every other time, as SQLite may', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1')
    const connection = await disk.driver(() => true).open()
    await connection.exec('CREATE TABLE t (x)')
    const open: boolean[] = []
    for (let turn = 0; turn < 4; turn++) {
      await connection.run('BEGIN')
      scene.judgeDevice = () => 'full'
      await connection.run('INSERT INTO t VALUES (1)').catch(() => undefined)
      open.push(disk.isInTransaction)
      // What needs no room is not refused.
      expect(await connection.all('SELECT * FROM t')).toEqual([])
      if (disk.isInTransaction) await connection.run('ROLLBACK')
    }
    expect(open).toEqual([true, false, true, false])
  })

  test('[SIM-11] a slow statement holds back the device, not the others, and keeps the order of the calls', async () => {
    const scene = createDiskScene()
    const connection = await scene
      .disk('d1')
      .driver(() => true)
      .open()
    await connection.exec('CREATE TABLE t (x)')
    scene.judgeDevice = (sql) => (sql.includes('slow') ? { slowMs: 300 } : 'run')
    const order: string[] = []
    const note = (name: string) => (): void => void order.push(`${name} ${scene.env.monotonicMs()}`)
    const calls = [
      connection.run("INSERT INTO t VALUES ('slow')").then(note('first')),
      connection.run("INSERT INTO t VALUES ('quick')").then(note('second')),
      connection.run("INSERT INTO t VALUES ('slow')").then(note('third')),
    ]
    await scene.env.advance(1_000)
    await Promise.all(calls)
    expect(order).toEqual(['first 300', 'second 300', 'third 600'])
    expect(await connection.all('SELECT x FROM t')).toEqual([{ x: 'slow' }, { x: 'quick' }, { x: 'slow' }])
  })

  test('[SIM-11] a statement without a fault is over in as many turns as with the real driver', async () => {
    const { sqliteStorage } = await import('@holdfast/client/node')
    const turnsOf = async (storage: ReturnType<typeof sqliteStorage>): Promise<readonly number[]> => {
      const connection = await storage.open()
      const turns: number[] = []
      for (const work of [
        () => connection.exec('CREATE TABLE t (x)'),
        () => connection.run('INSERT INTO t VALUES (?)', [1]),
        () => connection.all('SELECT * FROM t'),
      ]) {
        let isDone = false
        const done = work().then(() => {
          isDone = true
        })
        let count = 0
        for (; !isDone; count++) await Promise.resolve()
        turns.push(count)
        await done
      }
      await connection.close()
      return turns
    }
    const simulated = createDiskScene()
      .disk('d1')
      .driver(() => true)
    expect(await turnsOf(simulated)).toEqual(await turnsOf(sqliteStorage(':memory:')))
  })
})

describe('the power goes', () => {
  test('[SIM-13] a device that asks for FULL loses nothing', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1', 'full')
    await insertMany(await scene.open(disk, { durability: 'full' }), 5)
    expect(disk.unsyncedCount).toBe(0)
    disk.cutPower(0)
    expect(names(disk)).toEqual(['n0', 'n1', 'n2', 'n3', 'n4'])
    expect(scene.told('device-lost')).toEqual([])
  })

  test('[SIM-13] with NORMAL any prefix of the commits is left, and what is gone is told', async () => {
    for (let left = 0; left <= 5; left++) {
      const scene = createDiskScene()
      const disk = scene.disk('d1', 'fast')
      await insertMany(await scene.open(disk, { durability: 'fast' }), 5)
      // The commit before the first write made the tables.
      const commits = disk.unsyncedCount
      const roll = (commits - 5 + left) / (commits + 1) + 1e-9
      disk.cutPower(roll)
      const kept = ['n0', 'n1', 'n2', 'n3', 'n4'].slice(0, left)
      expect(names(disk)).toEqual(kept)
      const lost = scene.told('device-lost')
      expect(lost.map(({ cause, durability }) => ({ cause, durability }))).toEqual(
        left === 5 ? [] : [{ cause: 'power-cut', durability: 'fast' }],
      )
      expect(lost.flatMap(({ entries }) => entries.map(({ seq }) => seq))).toEqual(
        [1, 2, 3, 4, 5].slice(left, left === 5 ? left : undefined),
      )
      const again = await scene.open(disk, { durability: 'fast' })
      await again.items.insert({ name: 'z' })
      expect(names(disk)).toEqual([...kept, 'z'])
      await again.close()
    }
  })

  test('[SIM-13] a commit that is synced keeps the ones before it, and a power cut may come twice', async () => {
    const scene = createDiskScene()
    await scene.startServer()
    const disk = scene.disk('d1', 'fast')
    const db = await scene.open(disk, { durability: 'fast' })
    await insertMany(db, 3)
    expect(disk.unsyncedCount).toBeGreaterThan(2)
    // What is about to be sent is synced.
    await scene.sync(db)
    await db.items.insert({ name: 'unsynced' })
    expect(names(disk)).toEqual(['n0', 'n1', 'n2', 'unsynced'])
    disk.cutPower(0)
    expect(names(disk)).toEqual(['n0', 'n1', 'n2'])
    const again = await scene.open(disk, { durability: 'fast' })
    await again.items.insert({ name: 'also unsynced' })
    disk.cutPower(0)
    expect(names(disk)).toEqual(['n0', 'n1', 'n2'])
  })

  test('[SIM-13] what a client asked for counts, not what the app was promised', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1', 'full')
    await insertMany(await scene.open(disk, { durability: 'fast' }), 2)
    disk.cutPower(0)
    expect(scene.told('device-lost')).toMatchObject([
      { cause: 'power-cut', durability: 'full', entries: [{ seq: 1 }, { seq: 2 }], back: [] },
    ])
  })

  test('[SIM-13] a long run without a sync is checkpointed, and a cut still leaves a prefix', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1', 'fast')
    const connection = await disk.driver(() => true).open()
    await connection.exec('PRAGMA synchronous = NORMAL')
    await connection.exec('CREATE TABLE t (x)')
    for (let index = 0; index < 5_000; index++) await connection.run('INSERT INTO t VALUES (?)', [index])
    const unsynced = disk.unsyncedCount
    expect(unsynced).toBeLessThan(5_000)
    disk.cutPower(0)
    expect(disk.read('SELECT count(*) AS n, max(x) AS x FROM t')).toEqual([
      { n: 5_000 - unsynced, x: 4_999 - unsynced },
    ])
    const again = await disk.driver(() => true).open()
    await again.exec('PRAGMA synchronous = NORMAL')
    await again.run('INSERT INTO t VALUES (0)')
    expect(disk.unsyncedCount).toBe(1)
    await again.all('PRAGMA wal_checkpoint(TRUNCATE)')
    expect(disk.unsyncedCount).toBe(0)
  })
})

describe('images', () => {
  test('[SIM-14] an image that is put back says which entries are gone and which are there again', async () => {
    const scene = createDiskScene()
    await scene.startServer()
    const disk = scene.disk('d1')
    const db = await scene.open(disk)
    await db.items.insert({ name: 'sent' })
    const image = disk.image()
    await scene.sync(db)
    await scene.sync(db)
    await db.items.insert({ name: 'new' })
    expect(() => disk.putBack(image)).toThrow('running process')
    await db.close()
    scene.seen.length = 0
    disk.putBack(image)
    expect(scene.seen.map(({ kind }) => kind)).toEqual(['device-lost', 'cursor'])
    expect(scene.seen).toMatchObject([
      { cause: 'backup', entries: [{ seq: 2 }], back: [{ seq: 1, collection: 'items', op: 'create' }] },
      { epoch: null },
    ])
    const again = await scene.open(disk)
    expect(await itemsOf(again)).toMatchObject([{ name: 'sent' }])
    await scene.sync(again)
    expect(scene.told('entry-status')).toContainEqual(expect.objectContaining({ seq: 1, status: 'answered' }))
    await scene.sync(again)
    expect(scene.told('entry-gone').at(-1)).toMatchObject({ seq: 1 })
    await again.close()
  })

  test('[SIM-14] a wiped disk is a new device', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1')
    const db = await scene.open(disk)
    await db.items.insert({ name: 'gone' })
    await db.close()
    disk.wipe()
    expect(scene.told('device-lost')).toMatchObject([{ cause: 'wipe', entries: [{ seq: 1 }], back: [] }])
    await (await scene.open(disk)).close()
    const devices = scene.told('identity').map(({ device }) => device)
    expect(devices).toHaveLength(2)
    expect(devices[0]).not.toBe(devices[1])
  })

  test('[SIM-14] a copy has the same bytes and the same identity, and goes its own way', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1')
    const db = await scene.open(disk)
    await db.items.insert({ name: 'both' })
    const copy = disk.copyTo('d2')
    const [{ device } = { device: '' }] = scene.told('identity')
    expect(scene.told('device-copied')).toMatchObject([
      { disk: 'd1', to: 'd2', entries: [{ disk: 'd2', device, seq: 1 }] },
    ])
    expect(scene.told('identity').at(-1)).toMatchObject({ disk: 'd2', device })
    const twin = await scene.open(copy)
    await twin.items.insert({ name: 'twin' })
    await db.items.insert({ name: 'first' })
    expect([names(disk), names(copy)]).toEqual([
      ['both', 'first'],
      ['both', 'twin'],
    ])
    expect(scene.told('entry-written').map(({ disk: on, seq }) => `${on} ${seq}`)).toEqual([
      'd1 1',
      'd2 2',
      'd1 2',
    ])
    await db.close()
    await twin.close()
  })
})

describe('what is seen', () => {
  test('[SIM-12] a mutation is seen as it is written, sent, answered and settled, and the cursor as it moves', async () => {
    const scene = createDiskScene()
    await scene.startServer()
    const disk = scene.disk('d1')
    const db = await scene.open(disk)
    const id = await db.items.insert({ name: 'Rope', stock: 3 })
    expect(scene.told('entry-written')).toMatchObject([
      {
        disk: 'd1',
        seq: 1,
        collection: 'items',
        record: id,
        op: 'create',
        payload: { changes: { name: 'Rope', stock: 3 }, base: null, increments: {} },
        baseVersion: 0,
        group: null,
        resolves: null,
      },
    ])
    await scene.sync(db)
    await scene.sync(db)
    const kinds = scene.seen.filter(({ kind }) => kind !== 'outcome' && kind !== 'audit')
    expect(
      kinds.map((each) => (each.kind === 'entry-status' ? `${each.status} ${each.verdict}` : each.kind)),
    ).toEqual(['identity', 'entry-written', 'sending null', 'answered applied', 'entry-gone', 'cursor'])
    const [state] = scene.serverDisk.read('SELECT epoch, counter FROM holdfast_state')
    expect(scene.told('cursor').at(-1)).toMatchObject({
      epoch: state?.['epoch'],
      position: state?.['counter'],
    })
    await db.close()
  })

  test('[SIM-12] a repaired dead letter is seen to change its words, then its number and key', async () => {
    const scene = createDiskScene()
    await scene.startServer()
    const disk = scene.disk('d1')
    const db = await scene.open(disk)
    await db.items.insert({ name: 'elsewhere', wh: 'w2' })
    await scene.sync(db)
    expect(scene.told('entry-status').at(-1)).toMatchObject({ status: 'dead', code: 'SCOPE_DENIED' })
    const [letter] = await db.deadLetters.list()
    scene.seen.length = 0
    await db.deadLetters.editAndRetry(letter!.id, { wh: 'w1' })
    expect(scene.seen).toMatchObject([
      { kind: 'entry-payload', seq: 1, payload: { changes: { name: 'elsewhere', wh: 'w1' } } },
      { kind: 'entry-moved', from: { seq: 1 }, to: { seq: 2 } },
      { kind: 'entry-status', seq: 2, status: 'pending', verdict: null, code: null },
    ])
    const [row] = disk.read('SELECT id FROM _outbox')
    expect(scene.told('entry-moved')[0]?.to.id).toBe(row?.['id'])
    await db.close()
  })

  test('[SIM-12] of an entry that is written and changed in one commit the last words are told', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1')
    const db = await scene.open(disk)
    await db.transaction((tx) => tx.items.insert({ name: 'alone' }))
    await db.transaction(async (tx) => {
      await tx.items.insert({ name: 'one' })
      await tx.items.insert({ name: 'two' })
    })
    const written = scene.told('entry-written')
    expect(written.map(({ group }) => group === null)).toEqual([true, false, false])
    const stored = disk.read('SELECT group_id FROM _outbox').map((row) => row['group_id'])
    expect(written.map(({ group }) => group)).toEqual(stored)
    const connection = await disk.driver(() => true).open()
    scene.seen.length = 0
    await connection.run('BEGIN')
    await connection.run(
      "INSERT INTO _outbox (seq, id, collection, record, op, payload, hash, base_version, at, schema, created_at) VALUES (7, 'x', 'items', 'r', 'delete', '{}', '', 0, 'at', 1, 'at')",
    )
    await connection.run("UPDATE _outbox SET status = 'sending' WHERE seq = 7")
    await connection.run("UPDATE _outbox SET seq = 8, id = 'y' WHERE seq = 7")
    await connection.run(
      `UPDATE _outbox SET payload = '{"changes":{"name":"new"}}', status = 'held' WHERE seq = 8`,
    )
    await connection.run('COMMIT')
    expect(scene.seen).toMatchObject([
      { kind: 'entry-written', seq: 7, id: 'x', payload: { changes: { name: 'new' } } },
      { kind: 'entry-moved', from: { seq: 7, id: 'x' }, to: { seq: 8, id: 'y' } },
      { kind: 'entry-status', seq: 8, id: 'y', status: 'held' },
    ])
  })

  test('[SIM-12] what was rolled back, also to a savepoint, is not seen', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1')
    const db = await scene.open(disk)
    const failing = db.transaction(async (tx) => {
      await tx.items.insert({ name: 'undone' })
      throw new Error('changed my mind')
    })
    await expect(failing).rejects.toThrow('changed my mind')
    expect(scene.told('entry-written')).toEqual([])
    const connection = await disk.driver(() => true).open()
    await connection.run('BEGIN')
    await connection.run('SAVEPOINT a')
    await connection.run(
      "INSERT INTO _outbox (id, collection, record, op, payload, hash, base_version, at, schema, created_at) VALUES ('x', 'items', 'r', 'delete', '{}', '', 0, 'at', 1, 'at')",
    )
    await connection.run('ROLLBACK TO a')
    await connection.run('COMMIT')
    expect(scene.told('entry-written')).toEqual([])
  })

  test('[SIM-12] the client does not see that it is watched', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1')
    await (await scene.open(disk)).close()
    const connection = await disk.driver(() => true).open()
    expect(await connection.all("SELECT name FROM sqlite_schema WHERE name LIKE 'sim%'")).toEqual([])
    const insert = (seq: number): string =>
      `INSERT INTO _outbox (seq, id, collection, record, op, payload, hash, base_version, at, schema, created_at)
       VALUES (${seq}, 'x', 'items', 'r', 'delete', '{}', '', 0, 'at', 1, 'at')`
    expect(await connection.run(insert(41))).toEqual({ changes: 1, lastInsertRowid: 41 })
    expect(await connection.all(`${insert(42)} RETURNING seq, id`)).toEqual([{ seq: 42, id: 'x' }])
    expect(await connection.run("UPDATE _outbox SET status = 'dead'")).toMatchObject({ changes: 2 })
    expect(scene.told('entry-written').map(({ seq }) => seq)).toEqual([41, 42])
  })

  test('[SIM-18] a dump holds rows by the kinds of the schema, the outbox, and every mark in the file', async () => {
    const scene = createDiskScene()
    const disk = scene.disk('d1')
    const db = await scene.open(disk)
    await db.items.insert({ name: 'Rope #t1', stock: 3, tags: ['b', 'a'] })
    const marks = (text: string): readonly string[] => text.match(/#t\d/g) ?? []
    expect(disk.dump(['w:w1'], marks)).toMatchObject({
      disk: 'd1',
      user: 'ann',
      grants: ['w:w1'],
      collections: {
        items: [{ version: 0, values: { name: 'Rope #t1', stock: 3, tags: ['a', 'b'], price: null } }],
        shelves: [],
      },
      outbox: [{ seq: 1, status: 'pending', op: 'create' }],
      conflicts: [],
      shadowCount: 0,
      stagedCount: 0,
      quarantineCount: 0,
      scopesSeen: ['#t1'],
      damage: [],
    })
    await db.close()
    expect(scene.disk('d2').dump([], marks)).toMatchObject({ device: '', outbox: [], scopesSeen: [] })
  })
})
