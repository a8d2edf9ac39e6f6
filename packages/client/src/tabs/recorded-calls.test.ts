import { expect, test } from 'vitest'

import { givenDevice } from '../local/given-device.ts'
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
