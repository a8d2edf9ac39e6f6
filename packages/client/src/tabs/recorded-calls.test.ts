import { expect, test } from 'vitest'

import { givenDevice, givenSchema } from '../local/given-device.ts'
import { collectionApi } from '../write/writer.ts'
import { RecordedCalls } from './recorded-calls.ts'

test('[BR-5] a call that is made again gives what it gave, and writes once', async () => {
  const { database } = await givenDevice()
  const calls = await RecordedCalls.open(database, ['tab'])
  let runs = 0
  const make = (isRepeat: boolean, fail = false): Promise<unknown> =>
    calls.runner({ tab: 'tab', call: 7, isRepeat }, 0).write(async (tx) => {
      runs += 1
      await tx.run('INSERT INTO _meta VALUES (?, ?)', [`sync.run-${runs}`, runs])
      if (fail) throw new Error('in the middle')
      return { runs }
    })
  await expect(make(false, true)).rejects.toThrow('in the middle')
  expect(await make(true)).toEqual({ runs: 2 })
  expect(await make(true)).toEqual({ runs: 2 })
  expect(await database.all("SELECT value FROM _meta WHERE key LIKE 'sync.run-%'")).toEqual([{ value: 2 }])
})

test('[BR-5] each transaction of a call is recorded for itself', async () => {
  const { database } = await givenDevice()
  const calls = await RecordedCalls.open(database, ['tab'])
  const first = calls.runner({ tab: 'tab', call: 1, isRepeat: false }, 0)
  expect(await first.write(async () => 'a')).toBe('a')
  // The leader died between the two.
  const second = calls.runner({ tab: 'tab', call: 1, isRepeat: true }, 0)
  expect(await second.write(async () => 'never')).toBe('a')
  expect(await second.write(async () => 'b')).toBe('b')
})

test.each([1, 1_000])(
  '[BR-5] many rows with ids of the app, %i of which were stored when the leader died, are all stored, once',
  async (count) => {
    const { database, parts } = await givenDevice()
    const calls = await RecordedCalls.open(database, ['tab'])
    const steps = givenSchema.collections.get('steps')
    if (steps === undefined) throw new Error('no steps')
    const rows = Array.from({ length: count + 10 }, (_, n) => ({
      id: `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`,
      label: `${n}`,
    }))
    const insert = (isRepeat: boolean, most: number): Promise<unknown> => {
      const runner = calls.runner({ tab: 'tab', call: 1, isRepeat }, 0)
      let writes = 0
      const write: typeof runner.write = (fn, options) =>
        ++writes > most ? Promise.reject(new Error('the leader died')) : runner.write(fn, options)
      const api = collectionApi(steps, { ...parts, database: { ...runner, write } })
      return api.insertMany(rows)
    }
    if (count === 1_000) await expect(insert(false, 1)).rejects.toThrow('the leader died')
    else await insert(false, 1)
    expect(await insert(true, 9)).toEqual(rows.map(({ id }) => id))
    expect(await database.all('SELECT count(*) AS count FROM steps')).toEqual([{ count: rows.length }])
  },
)

test('[BR-5] records go with their tab, and once a tab has its answers', async () => {
  const { database } = await givenDevice()
  const calls = await RecordedCalls.open(database, ['living'])
  const count = async (): Promise<unknown> =>
    (await database.all('SELECT count(*) AS count FROM _calls'))[0]?.['count']
  for (let call = 0; call < 500; call++)
    await calls.runner({ tab: 'living', call, isRepeat: false }, call).write(async () => call)
  expect(Number(await count())).toBeLessThan(250)
  await calls.runner({ tab: 'dead', call: 0, isRepeat: false }, 0).write(async () => null)
  await RecordedCalls.open(database, ['living'])
  expect(await database.all("SELECT call FROM _calls WHERE tab = 'dead'")).toEqual([])
  await calls.forget('living')
  expect(await count()).toBe(0)
})
