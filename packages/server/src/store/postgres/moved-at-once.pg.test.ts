import { newUuid } from '@holdfast/core'
import { hasPostgres } from '@holdfast/testing/services'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GivenEngine, givenEngine, item } from '../../given-engine.ts'
import { waitingForLocks } from '../../given-locks.ts'
import { systemEnvironment } from '../../system-environment.ts'

describe.skipIf(!hasPostgres())('two records of one conflict that are moved at once', () => {
  let given: GivenEngine
  beforeEach(async () => {
    given = await givenEngine()
  })
  afterEach(() => given.close())

  /** Two records in dispute, in these warehouses. */
  async function givenDispute(warehouses: readonly [string, string]): Promise<readonly [string, string]> {
    const kim = given.device('kim', ['warehouse:1', 'warehouse:2', 'warehouse:3'])
    const [first, second] = warehouses.map((warehouse) =>
      kim.create('items', item({ warehouse, name: 'base' })),
    )
    if (!first || !second) throw new Error('there are two')
    await kim.push(first, second)
    await given.run(`UPDATE items SET name = 'by hand'`)
    const edit = { base: { name: 'base' }, baseVersion: 1, group: newUuid(systemEnvironment()) }
    const results = await kim.push(
      kim.update(first, { name: 'kim' }, edit),
      kim.update(second, { name: 'kim' }, edit),
    )
    expect(results.map(({ status }) => status)).toEqual(['conflict', 'conflict'])
    return [first.record, second.record]
  }

  const move = (record: string, warehouse: string): string =>
    `UPDATE items SET warehouse = '${warehouse}' WHERE id = '${record}'`

  async function seen(): Promise<readonly string[]> {
    const found: string[] = []
    for (const warehouse of ['1', '2', '3']) {
      const eve = given.device(`of ${warehouse}`, [`warehouse:${warehouse}`])
      await eve.pull()
      if ([...eve.rows.keys()].some((key) => key.startsWith('_conflicts/'))) found.push(warehouse)
    }
    return found
  }

  test.each(['READ COMMITTED', 'REPEATABLE READ'])(
    '[FE-10] under %s it does not go where one of them has just left',
    async (level) => {
      const [first, second] = await givenDispute(['1', '2'])
      expect(await seen()).toEqual([])
      const commit = await given.hold(`BEGIN; ${move(first, '2')}`)
      const moving = given.run(`SET TRANSACTION ISOLATION LEVEL ${level}; ${move(second, '3')}`).then(
        () => undefined,
        (error: unknown) => error,
      )
      await waitingForLocks((sql) => given.rows(sql), 1)
      await commit()
      const error = await moving
      if (level !== 'READ COMMITTED') {
        expect(error).toMatchObject({ code: '40001' })
        await given.run(move(second, '3'))
      }
      expect(await seen()).toEqual([])
    },
  )

  test('[FE-10] it goes where both of them have gone', async () => {
    const [first, second] = await givenDispute(['1', '1'])
    expect(await seen()).toEqual(['1'])
    const commit = await given.hold(`BEGIN; ${move(first, '2')}`)
    const moving = given.run(move(second, '2'))
    await waitingForLocks((sql) => given.rows(sql), 1)
    await commit()
    await moving
    expect(await seen()).toEqual(['2'])
  })
})
