import { expect, test } from 'vitest'

import { type Counted, countAnew, countedStorage } from '../local/given-counted-driver.ts'
import { type GivenDevice, givenDevice, givenSchema } from '../local/given-device.ts'
import { discardEntries } from './discard-entries.ts'
import { moveToEscrow } from './to-escrow.ts'

const many = 300

async function givenCountedDevice(): Promise<GivenDevice & { readonly counted: Counted }> {
  const { storage, counted } = countedStorage()
  return { ...(await givenDevice({ storage })), counted }
}

async function givenEditedRecord(device: GivenDevice): Promise<string> {
  const record = await device.items.insert({ name: 'a' })
  for (let edit = 1; edit < many; edit++) await device.items.update(record, { name: `a${edit}` })
  return record
}

test('[OB-23] of hundreds of edits of one record each is read once when many of them are discarded', async () => {
  const device = await givenCountedDevice()
  await givenEditedRecord(device)
  const everySecond = Array.from({ length: many / 2 - 1 }, (_, index) => 2 * index + 2)
  countAnew(device.counted)
  await device.database.write((tx) => discardEntries(tx, givenSchema, everySecond))
  expect(device.counted.rows).toBeLessThan(8 * many)
  const [late] = await device.database.all('SELECT payload FROM _outbox WHERE seq = ?', [many - 1])
  // It saw what the edit before it had written, which is gone, and sees what that one saw.
  expect(String(late?.['payload'])).toContain(`"base":{"name":"a${many - 4}"}`)
})

test('[OB-23] of hundreds of edits of one record each is read once when its record leaves', async () => {
  const device = await givenCountedDevice()
  const record = await givenEditedRecord(device)
  countAnew(device.counted)
  const context = { schema: givenSchema, env: { now: () => 0 } }
  await device.database.write((tx) => moveToEscrow(tx, context, [{ collection: 'items', record }]))
  expect(device.counted.rows).toBeLessThan(8 * many)
  expect(await device.database.all('SELECT count(*) AS n FROM _outbox WHERE escrow')).toEqual([{ n: many }])
})
