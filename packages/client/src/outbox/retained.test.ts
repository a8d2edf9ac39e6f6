import { limits } from '@holdfast/core'
import { expect, test } from 'vitest'

import { type GivenDevice, givenDevice } from '../local/given-device.ts'
import { boundRetained, readRetained, readSettled, returnRetained } from './retained.ts'

/** A device that has settled edits, whose payloads count as `bytes` each. */
async function givenSettled(count: number, bytes = 100): Promise<GivenDevice> {
  const device = await givenDevice()
  await device.items.insertMany(Array.from({ length: count }, (_, n) => ({ name: `n${n}` })))
  await device.database.write(async (tx) => {
    await tx.run(
      "UPDATE _outbox SET status = 'answered', version = seq, server_updated_at = '2026-11-20T10:00:00.000Z'",
    )
    await tx.run('DELETE FROM _outbox')
    await tx.run('UPDATE _retained SET total = n * ?', [bytes])
    await boundRetained(tx, 0)
  })
  return device
}

const keptBy = ({ database }: GivenDevice): Promise<string> =>
  database.read((tx) => readRetained(tx, limits.retainedRows))

test('[SY-25] what was settled is kept for as long as it may be, and as much as may be, the oldest going first', async () => {
  const device = await givenSettled(6)
  const bound = (nowMs: number): Promise<void> => device.database.write((tx) => boundRetained(tx, nowMs))
  await bound(limits.retainedDays * 86_400_000)
  expect(await keptBy(device)).toBe('1-6')
  await device.database.write((tx) =>
    tx.run('UPDATE _retained SET n = n + ? WHERE n > 2', [limits.retainedRows - 3]),
  )
  await bound(0)
  expect(await keptBy(device)).toBe('3-6')
  await bound(limits.retainedDays * 86_400_000 + 1)
  expect(await keptBy(device)).toBe('')
})

test('[SY-25] [PL-24] a server is told the numbers under the name of now, and how their keys end', async () => {
  const { database } = await givenSettled(4)
  const ids = await database.all('SELECT id FROM _retained ORDER BY seq')
  const [first, , third, fourth] = ids.map(({ id }) => String(id).slice(-8))
  await database.write((tx) => tx.run("UPDATE _retained SET device = 'another' WHERE seq = 2"))
  const told = await database.read(readSettled)
  expect(told).toEqual({ settled: '1,3-4', settledKeys: `${first}${third}${fourth}` })
})

test('[SY-25] of too many bytes the oldest go', async () => {
  expect(await keptBy(await givenSettled(6, limits.retainedBytes / 4))).toBe('3-6')
})

test('[SY-25] what the server does not know returns with what it had been answered, and the rest stays', async () => {
  const device = await givenSettled(4)
  expect(await device.database.write((tx) => returnRetained(tx, { lost: '2-3', nowMs: 7 }))).toBe(2)
  expect(await keptBy(device)).toBe('1,4')
  const was = (version: number): string =>
    `{"version":${version},"serverUpdatedAt":"2026-11-20T10:00:00.000Z"}`
  expect(
    await device.database.all('SELECT seq, status, offer, was, version, returned_at FROM _outbox'),
  ).toEqual([
    { seq: 2, status: 'pending', offer: 2, was: was(2), version: null, returned_at: 7 },
    { seq: 3, status: 'pending', offer: 3, was: was(3), version: null, returned_at: 7 },
  ])
})

test('[SY-25] what was settled while the clock was ahead is kept for as long from when it was put right', async () => {
  const device = await givenSettled(3)
  const dayMs = 86_400_000
  const bound = (nowMs: number): Promise<void> => device.database.write((tx) => boundRetained(tx, nowMs))
  await device.database.write((tx) => tx.run('UPDATE _retained SET kept_at = ?', [365 * dayMs]))
  await bound(dayMs)
  expect(await keptBy(device)).toBe('1-3')
  await bound((1 + limits.retainedDays) * dayMs + 1)
  expect(await keptBy(device)).toBe('')
})

test('[SY-25] of a transaction either all is kept or nothing', async () => {
  const device = await givenSettled(6)
  await device.database.write(async (tx) => {
    await tx.run("UPDATE _retained SET group_id = 'moved' WHERE seq BETWEEN 2 AND 4")
    await tx.run('UPDATE _retained SET n = n + ? WHERE n > 2', [limits.retainedRows - 3])
    await boundRetained(tx, 0)
  })
  expect(await keptBy(device)).toBe('5-6')
})

test('[SY-25] what went under another name is returned as long as a server remembers its key', async () => {
  const device = await givenSettled(2)
  await device.database.write((tx) => tx.run("UPDATE _retained SET device = 'another'"))
  const returned = (nowMs: number): Promise<number> =>
    device.database.write((tx) => returnRetained(tx, { lost: '', nowMs }))
  expect(await returned(limits.retainedDays * 86_400_000 + 1)).toBe(0)
  expect(await returned(limits.retainedDays * 86_400_000)).toBe(2)
})
