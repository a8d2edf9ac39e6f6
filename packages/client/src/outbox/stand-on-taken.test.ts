import { limits } from '@holdfast/core'
import { expect, test } from 'vitest'

import { type GivenDevice, givenDevice, givenSchema } from '../local/given-device.ts'
import { cutBatch } from './cut-batch.ts'
import { listEntries, markAnswered, markDead } from './outbox.ts'
import { requeue } from './requeue.ts'
import { standOnTaken } from './stand-on-taken.ts'

const cut = ({ database }: GivenDevice): Promise<unknown> =>
  database.write((tx) =>
    cutBatch(tx, givenSchema, { nowMs: 0, maxMutations: 50, maxBytes: limits.pushBytes }),
  )

/** The server takes these at this version. */
const take = ({ database }: GivenDevice, version: number, ...seqs: readonly number[]): Promise<void> =>
  database.write(async (tx) => {
    await markAnswered(tx, seqs, { status: 'applied', version, serverUpdatedAt: null, exact: true })
    await standOnTaken(tx, seqs)
  })

/** By number, the number of the entry that each stands on. */
async function standing({ database }: GivenDevice): Promise<Record<number, number | undefined>> {
  const entries = await database.read((tx) => listEntries(tx))
  const numberOf = (id: string | null): number | undefined => entries.find((each) => each.id === id)?.seq
  return Object.fromEntries(entries.map(({ seq, after }) => [seq, numberOf(after)]))
}

/** Of a record that the server has, 2 and 3 were offered, 2 was refused, and is tried again as 4. */
async function givenLetter(op: 'update' | 'delete'): Promise<{ device: GivenDevice; id: string }> {
  const device = await givenDevice()
  const id = await device.items.insert({ name: 'a' })
  await cut(device)
  await take(device, 1, 1)
  await device.items.increment(id, { stock: 1 })
  await cut(device)
  if (op === 'update') await device.items.update(id, { price: '1.00' })
  else await device.items.delete(id)
  await cut(device)
  await device.database.write(async (tx) => {
    await markDead(tx, [2], { code: 'NOT_AUTHORIZED', message: '' })
    await requeue(tx, { schema: givenSchema }, [2])
  })
  return { device, id }
}

test('[OB-24] what is tried again behind an edit that is under way stands on that once it is taken, and a deletion on both', async () => {
  const { device, id } = await givenLetter('update')
  await device.items.delete(id)
  expect(await standing(device)).toMatchObject({ 4: 1, 5: 4 })
  await take(device, 2, 3)
  expect(await standing(device)).toMatchObject({ 4: 3, 5: 4 })
})

test('[OB-24] [OB-4] not where it was offered, or something newer was taken before', async () => {
  const { device } = await givenLetter('update')
  await cut(device)
  await device.database.write((tx) => tx.run("UPDATE _outbox SET status = 'pending' WHERE seq = 4"))
  await take(device, 2, 3)
  expect(await standing(device)).toMatchObject({ 4: 1 })
  const other = await givenLetter('update')
  await take(other.device, 2, 3)
  await take(other.device, 1, 1)
  expect(await standing(other.device)).toMatchObject({ 4: 3 })
})

test('[OB-24] so does what was refused, before it is tried again', async () => {
  const { device } = await givenLetter('update')
  await cut(device)
  await device.database.write((tx) => markDead(tx, [4], { code: 'NOT_AUTHORIZED', message: '' }))
  await take(device, 2, 3)
  expect(await standing(device)).toMatchObject({ 4: 3 })
})

test('[OB-24] [OB-17] on its author’s deletion nothing stands that was written before: it would bring the record back', async () => {
  const { device } = await givenLetter('delete')
  await take(device, 2, 3)
  expect(await standing(device)).toMatchObject({ 4: 1 })
})
