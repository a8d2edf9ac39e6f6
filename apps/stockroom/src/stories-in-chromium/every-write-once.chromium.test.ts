import { afterAll, beforeAll, expect, test } from 'vitest'

import { builtStockroom } from './built-stockroom.ts'
import { type Bench, type GivenStockroom, givenStockroom } from './given-stockroom.ts'
import type { ItemOnServer } from './warehouse-view.ts'

// One warehouse and one page for all stories: each has an item of its own.
let given: GivenStockroom
let bench: Bench
beforeAll(async () => {
  given = await givenStockroom(await builtStockroom())
  bench = await given.openBench()
}, 300_000)
afterAll(() => given?.close())

const patience = { timeout: 240_000 }

/** An item that the server has. */
async function itemOnServer(sku: string): Promise<ItemOnServer> {
  const item = await given.itemOnServer(sku)
  if (item === null) throw new Error(`the server has no ${sku}`)
  return item
}

/** The server heard one mutation of a record, and knew it whenever it was offered again. */
function expectOnce(record: string): void {
  const [first, ...repeats] = given.wire.heardOf(record)
  expect(first).toMatchObject({ status: 'applied', isDuplicate: false })
  for (const repeat of repeats) expect(repeat).toEqual({ ...first, isDuplicate: true })
}

/** What Ana did to an item, as the server keeps it: the amounts of her movements, and her edits of the item itself. */
function countedOf({ history, movements }: ItemOnServer): {
  readonly amounts: readonly unknown[]
  readonly edits: number
} {
  return {
    amounts: movements.filter(({ person }) => person === 'ana').map(({ amount }) => amount),
    edits: history.filter(({ user }) => user === 'ana').length,
  }
}

test(
  'an answer is cut: the server has decided, the device does not know, and what was received is there once',
  patience,
  async () => {
    const [ana, ben] = [bench.device('ana'), bench.device('ben')]
    const before = await itemOnServer('PL-02100')
    const stock = Number(before.row['stock'])
    const atAna = await ana.openItem('PL-02100')
    const atBen = await ben.openItem('PL-02100')
    const cut = given.wire.cutNextPush('ana')
    await atAna.getByRole('button', { name: 'Receive' }).click()
    await cut
    expect((await itemOnServer('PL-02100')).row['stock']).toBe(stock + 10)
    for (const item of [atAna, atBen]) await item.getByText(String(stock + 10), { exact: true }).waitFor()
    await ana.frame.getByText('all sent').waitFor()
    expectOnce(before.id)
    expect(countedOf(await itemOnServer('PL-02100'))).toEqual({ amounts: [10], edits: 1 })
    await ana.closeItem()
    await ben.closeItem()
  },
)

test('the same request is heard twice, and what was picked is gone once', patience, async () => {
  const [ana, ben] = [bench.device('ana'), bench.device('ben')]
  const before = await itemOnServer('PL-02300')
  const stock = Number(before.row['stock'])
  const atAna = await ana.openItem('PL-02300')
  const doubled = given.wire.doubleNextPush('ana')
  await atAna.getByRole('button', { name: 'Pick' }).click()
  await doubled
  const atBen = await ben.openItem('PL-02300')
  await atBen.getByText(String(stock - 10), { exact: true }).waitFor()
  await atAna.getByText('Saved', { exact: true }).waitFor()
  const heard = given.wire.heardOf(before.id).map(({ status, isDuplicate }) => ({ status, isDuplicate }))
  expect(heard).toEqual([
    { status: 'applied', isDuplicate: false },
    { status: 'applied', isDuplicate: true },
  ])
  expect(countedOf(await itemOnServer('PL-02300'))).toEqual({ amounts: [-10], edits: 1 })
  await ana.closeItem()
  await ben.closeItem()
})

test(
  'a network that is slow and loses most requests: of ten picks none is lost, and none counts twice',
  patience,
  async () => {
    const [ana, office] = [bench.device('ana'), bench.device('office')]
    const before = await itemOnServer('PL-02200')
    const stock = Number(before.row['stock'])
    await ana.setNetwork({ latencyMs: 200, lossPercent: 60 })
    const item = await ana.openItem('PL-02200')
    for (let count = 0; count < 10; count++) await item.getByRole('button', { name: 'Take one' }).click()
    await item.getByText(String(stock - 10), { exact: true }).waitFor()
    await ana.closeItem()
    await ana.setNetwork({ latencyMs: 0, lossPercent: 0 })
    // Off and on again, as people do rather than wait for the next attempt.
    await ana.setAirplane(true)
    await ana.setAirplane(false)
    await ana.frame.getByText('all sent').waitFor()
    const atOffice = await office.openItem('PL-02200')
    await atOffice.getByText(String(stock - 10), { exact: true }).waitFor()
    const heard = given.wire.heardOf(before.id)
    expect(new Set(heard.map(({ id }) => id)).size).toBe(10)
    expect(heard.filter(({ isDuplicate }) => !isDuplicate)).toHaveLength(10)
    expect(countedOf(await itemOnServer('PL-02200'))).toEqual({ amounts: Array(10).fill(-1), edits: 10 })
    await office.closeItem()
  },
)

test(
  'a device is killed while the answer is on its way: what it did is there after the start, and counts once',
  patience,
  async () => {
    const [ana, ben] = [bench.device('ana'), bench.device('ben')]
    const before = await itemOnServer('TO-06700')
    const stock = Number(before.row['stock'])
    const item = await ana.openItem('TO-06700')
    const held = given.wire.holdNextPush('ana')
    await item.getByRole('button', { name: 'Pick' }).click()
    await ana.frame.getByText('2 to send').waitFor()
    await held.reached
    expect((await itemOnServer('TO-06700')).row['stock']).toBe(stock - 10)
    await ana.kill()
    await ana.frame.getByText('all sent').waitFor()
    held.release()

    const again = await ana.openItem('TO-06700')
    expect(await again.getByTestId('stock').textContent()).toBe(String(stock - 10))
    const atBen = await ben.openItem('TO-06700')
    await atBen.getByText(String(stock - 10), { exact: true }).waitFor()
    expectOnce(before.id)
    expect(countedOf(await itemOnServer('TO-06700'))).toEqual({ amounts: [-10], edits: 1 })
    await ana.closeItem()
    await ben.closeItem()
  },
)

test(
  'a session ends in the middle of a push: half is there, half waits until Ana signs in again, and all counts once',
  patience,
  async () => {
    const [ana, ben] = [bench.device('ana'), bench.device('ben')]
    const before = await itemOnServer('EL-04100')
    const stock = Number(before.row['stock'])
    await ana.setAirplane(true)
    const item = await ana.openItem('EL-04100')
    for (let count = 0; count < 30; count++) await item.getByRole('button', { name: 'Add one' }).click()
    await ana.frame.getByText('60 to send').waitFor()
    // Just started, a device sends little at a time.
    await ana.kill()
    await ana.app.getByText('Offline · 60 to send').waitFor()
    given.wire.endSession('ana', 1)
    await ana.setAirplane(false)
    await ana.app.getByText('Sign in again · 10 to send').waitFor()
    expect((await itemOnServer('EL-04100')).row['stock']).toBe(stock + 25)
    await ana.openStatus()
    await ana.app.getByText('Sign in again to sync').waitFor()
    const signInAgain = ana.app.getByRole('button', { name: 'Sign in again', exact: true })
    const refusal = given.wire.holdNextRefusal('ana')
    await signInAgain.click()
    await refusal.reached
    await signInAgain.waitFor({ state: 'hidden' })
    // The office has not let her in yet.
    refusal.release()
    await ana.app.getByText('Sign in again · 10 to send').waitFor()
    given.wire.letIn('ana')
    await signInAgain.click()
    await ana.frame.getByText('all sent').waitFor()

    for (const device of [ana, ben]) {
      const opened = await device.openItem('EL-04100')
      await opened.getByText(String(stock + 30), { exact: true }).waitFor()
      await device.closeItem()
    }
    const heard = given.wire.heardOf(before.id)
    expect(new Set(heard.map(({ id }) => id)).size).toBe(30)
    expect(heard.filter(({ isDuplicate }) => isDuplicate)).toEqual([])
    expect(countedOf(await itemOnServer('EL-04100'))).toEqual({ amounts: Array(30).fill(1), edits: 30 })
  },
)
