import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { sqliteStorage } from '../drivers/node.ts'
import { systemEnvironment } from '../system-environment.ts'
import { failingDriver, type FailurePlan } from './given-device.ts'
import { LocalDatabase, type Touched } from './local-database.ts'

async function givenDatabase(plan?: FailurePlan): Promise<LocalDatabase> {
  const storage = sqliteStorage(':memory:')
  const connection = await (plan === undefined ? storage : failingDriver(storage, plan)).open()
  await connection.exec('CREATE TABLE t (n INTEGER); CREATE TABLE _lease (owner, fence, expires_at)')
  return new LocalDatabase(connection, 'full', systemEnvironment)
}

const numbers = async (database: LocalDatabase): Promise<unknown[]> =>
  (await database.all('SELECT n FROM t ORDER BY n')).map((row) => row.n)

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('transactions', () => {
  test('[LO-2] a read waits for the transaction before it, so nobody sees half of one', async () => {
    const database = await givenDatabase()
    const order: string[] = []
    const write = database.write(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)')
      await pause()
      await tx.run('INSERT INTO t VALUES (2)')
      order.push('written')
    })
    const seen = await Promise.all([
      numbers(database),
      database.read((tx) => tx.all('SELECT count(*) AS n FROM t')),
    ])
    order.push('read')
    await write
    expect(seen[0]).toEqual([1, 2])
    expect(seen[1]).toMatchObject([{ n: 2 }])
    expect(order).toEqual(['written', 'read'])
  })

  test('[LO-2] transactions run in the order they were asked for', async () => {
    const database = await givenDatabase()
    const order: number[] = []
    await Promise.all(
      [1, 2, 3].map((n) =>
        database.write(async () => {
          await pause()
          order.push(n)
        }),
      ),
    )
    expect(order).toEqual([1, 2, 3])
  })

  test('[LO-3] a transaction that throws leaves nothing, and the next one is not disturbed', async () => {
    const database = await givenDatabase()
    const failed = database.write(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)')
      throw new Error('mine')
    })
    const next = database.write((tx) => tx.run('INSERT INTO t VALUES (2)'))
    await expect(failed).rejects.toThrow('mine')
    await next
    expect(await numbers(database)).toEqual([2])
  })

  test.each([
    { rollsBack: false, resultCode: 10, code: 'STORE_FAILED' },
    { rollsBack: true, resultCode: 13, code: 'STORE_FULL' },
  ])(
    '[LO-3] B44, B50: whichever statement fails with $code, all is there or nothing',
    async ({ code, ...failure }) => {
      for (let left = 0; left <= 4; left++) {
        const plan = { ...failure, left: Infinity }
        const database = await givenDatabase(plan)
        plan.left = left
        const write = database.write(async (tx) => {
          await tx.run('INSERT INTO t VALUES (1)')
          await tx.run('INSERT INTO t VALUES (2)')
        })
        if (left < 4) await expect(write).rejects.toMatchObject({ code })
        else await write
        plan.left = Infinity
        expect(await numbers(database)).toEqual(left < 4 ? [] : [1, 2])
        await database.write((tx) => tx.run('INSERT INTO t VALUES (3)'))
        expect((await numbers(database)).at(-1)).toBe(3)
      }
    },
  )

  test('[LO-3] when even the rollback fails, the next transaction rolls back before it begins', async () => {
    const plan = { left: Infinity, resultCode: 10, rollsBack: false }
    const database = await givenDatabase(plan)
    const failed = database.write(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)')
      plan.left = 0
      throw new Error('mine')
    })
    await expect(failed).rejects.toThrow('mine')
    expect(await numbers(database)).toEqual([])
    await database.write((tx) => tx.run('INSERT INTO t VALUES (2)'))
    expect(await numbers(database)).toEqual([2])
  })

  test('[LO-5] a transaction with an old lease fails with LEASE_LOST and leaves nothing', async () => {
    const database = await givenDatabase()
    await database.write((tx) => tx.run("INSERT INTO _lease VALUES ('a', 7, 0)"))
    await database.write((tx) => tx.run('INSERT INTO t VALUES (1)'), { fence: 7 })
    const late = database.write((tx) => tx.run('INSERT INTO t VALUES (2)'), { fence: 6 })
    await expect(late).rejects.toMatchObject({ code: 'LEASE_LOST' })
    expect(await numbers(database)).toEqual([1])
  })

  test('[LO-16] what another process wrote while nobody could look is told with the next look', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-look-'))
    const storage = sqliteStorage(join(folder, 'a.sqlite'))
    const plan: FailurePlan = { left: Infinity, resultCode: 10, rollsBack: false }
    let look: () => void = () => undefined
    const setTimer = (callback: () => void): (() => void) => {
      look = callback
      return () => undefined
    }
    const mine = new LocalDatabase(await failingDriver(storage, plan).open(), 'full', { setTimer })
    const other = new LocalDatabase(await storage.open(), 'full', systemEnvironment)
    await mine.all('PRAGMA journal_mode = wal')
    await mine.write((tx) => tx.exec('CREATE TABLE t (n INTEGER)'))
    let told = 0
    plan.left = 0
    mine.onCommit(() => told++, { others: true })
    await mine.all('SELECT 1')
    await other.write((tx) => tx.run('INSERT INTO t VALUES (1)'))
    for (const count of [1, 1]) {
      look()
      for (let n = 0; n < 10; n++) await mine.all('SELECT 1')
      expect(told).toBe(count)
    }
    await Promise.all([mine.close(), other.close()])
    rmSync(folder, { recursive: true })
  })

  test('[LO-14] the mark of a table changes with commits that touch it, also with those of another process', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-mark-'))
    const storage = sqliteStorage(join(folder, 'a.sqlite'))
    const [mine, other] = [
      new LocalDatabase(await storage.open(), 'full', systemEnvironment),
      new LocalDatabase(await storage.open(), 'full', systemEnvironment),
    ]
    await mine.all('PRAGMA journal_mode = wal')
    await mine.write((tx) => tx.exec('CREATE TABLE t (n INTEGER)'))
    const touch = (database: LocalDatabase, table: string): Promise<void> =>
      database.write(async (tx) => {
        await tx.run('INSERT INTO t VALUES (1)')
        tx.touch(table, 'all')
      })
    const first = await mine.markOf('t')
    await mine.read((tx) => tx.all('SELECT 1'))
    await touch(mine, 'u')
    expect(await mine.markOf('t')).toBe(first)
    await touch(mine, 't')
    const second = await mine.markOf('t')
    const failed = mine.write(async (tx) => {
      tx.touch('t', 'all')
      throw new Error('mine')
    })
    await expect(failed).rejects.toThrow('mine')
    expect(second).not.toBe(first)
    expect(await mine.markOf('t')).toBe(second)
    await touch(other, 't')
    expect(await mine.markOf('t')).not.toBe(second)
    await Promise.all([mine.close(), other.close()])
    rmSync(folder, { recursive: true })
  })

  test('a transaction used after its end is refused', async () => {
    const database = await givenDatabase()
    const leaked = await database.write((tx) => Promise.resolve(tx))
    await expect(leaked.run('INSERT INTO t VALUES (1)')).rejects.toMatchObject({ code: 'TRANSACTION_OVER' })
    expect(await numbers(database)).toEqual([])
  })

  test('closing lets what was asked for finish, and refuses what comes after', async () => {
    const database = await givenDatabase()
    const write = database.write(async (tx) => {
      await pause()
      await tx.run('INSERT INTO t VALUES (1)')
      return 'done'
    })
    const closing = database.close()
    await expect(database.all('SELECT 1')).rejects.toMatchObject({ code: 'CLIENT_CLOSED' })
    await closing
    await database.close()
    expect(await write).toBe('done')
  })
})

describe('shared commits', () => {
  const insert = (database: LocalDatabase, n: number): Promise<unknown> =>
    database.write(
      async (tx) => {
        await tx.run('INSERT INTO t VALUES (?)', [n])
        tx.touch('t', String(n))
        if (n % 3 === 0) throw new Error(`no ${n}`)
      },
      { share: true },
    )

  test('[LO-4] writes asked for together share a commit, and one that throws is undone alone', async () => {
    const database = await givenDatabase()
    const commits: unknown[] = []
    database.onCommit(({ tables }: Touched) => commits.push(tables.get('t')))
    const results = await Promise.allSettled([1, 2, 3, 4, 5].map((n) => insert(database, n)))
    expect(results.map((result) => result.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ])
    expect(await numbers(database)).toEqual([1, 2, 4, 5])
    expect(commits).toEqual([new Set(['1']), new Set(['2', '3', '4', '5'])])
  })

  test('[LO-4] when the shared commit fails, none of them is told that it was stored', async () => {
    for (let left = 0; left <= 12; left++) {
      const plan = { left: Infinity, resultCode: 13, rollsBack: true }
      const database = await givenDatabase(plan)
      const blocker = database.write(() => pause())
      const writes = [1, 2, 4].map((n) => insert(database, n))
      plan.left = left + 2
      const results = await Promise.allSettled([blocker, ...writes])
      plan.left = Infinity
      const told = [1, 2, 4].filter((_, index) => results[index + 1]?.status === 'fulfilled')
      expect(await numbers(database)).toEqual(told)
    }
  })
})
