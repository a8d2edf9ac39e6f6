import { expect, test } from 'vitest'

import { givenDevice, givenSchema } from '../local/given-device.ts'
import { runTransaction } from '../write/writer.ts'
import { markConflicted } from './outbox.ts'
import { createsAhead } from './referred-creates.ts'

test('[OB-6] a decision does not wait for a create whose transaction holds another edit of what is in dispute', async () => {
  const device = await givenDevice()
  const [item, mate] = await runTransaction(givenSchema, device.parts, async (tx) => [
    await tx.items!.insert({ name: 'a' }),
    await tx.items!.insert({ name: 'b' }),
  ])
  await device.items.update(mate ?? '', { name: 'in dispute' })
  const lines = givenSchema.collections.get('lines')!
  const ahead = (conflict: string): Promise<readonly number[]> =>
    device.database.write(async (tx) => {
      await markConflicted(tx, [3], 'c1')
      return createsAhead(tx, { collection: lines, changes: { item: item ?? '' } }, { seqs: [], conflict })
    })
  expect(await ahead('c1')).toEqual([])
  expect(await ahead('c2')).toEqual([1])
})
