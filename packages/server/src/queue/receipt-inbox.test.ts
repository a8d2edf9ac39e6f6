import { newUuid } from '@holdfast/core'
import { expect, test } from 'vitest'

import type { NewReceipt, Store, StoreWriter } from '../store/store.ts'
import { systemEnvironment } from '../system-environment.ts'
import { ReceiptInbox } from './receipt-inbox.ts'

function givenReceipt(length: number): NewReceipt {
  const id = newUuid(systemEnvironment())
  return { id, user: 'ann', device: id, caller: '', body: 'x'.repeat(length), priority: 0, at: '' }
}

test('[QU-19] receipts that come together are stored together up to so many and so much, in their order', async () => {
  const stored: (readonly NewReceipt[])[] = []
  const tx: Partial<StoreWriter> = { saveReceipts: async (receipts) => void stored.push(receipts) }
  const store: Pick<Store, 'write'> = { write: (work) => work(tx as StoreWriter) }
  const inbox = new ReceiptInbox(store as Store, () => undefined)
  const lengths = [
    1,
    3_000_000,
    3_000_000,
    3_000_000,
    20_000_000,
    10,
    ...Array.from({ length: 300 }, () => 1),
  ]
  const receipts = lengths.map(givenReceipt)
  await Promise.all(receipts.map((receipt) => inbox.put(receipt)))
  expect(stored.flat().map(({ id }) => id)).toEqual(receipts.map(({ id }) => id))
  for (const together of stored) {
    const length = together.reduce((sum, { body }) => sum + body.length, 0)
    expect(together.length === 1 || length <= 8_388_608).toBe(true)
    expect(together.length).toBeLessThanOrEqual(200)
  }
  expect(stored.length).toBeLessThan(8)
})
