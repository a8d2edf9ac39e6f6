import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Locator } from 'playwright'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { builtStockroom } from './built-stockroom.ts'
import { type Bench, type GivenStockroom, givenStockroom } from './given-stockroom.ts'

// One warehouse and one page for all stories: each has an item of its own.
let given: GivenStockroom
let bench: Bench
beforeAll(async () => {
  given = await givenStockroom(await builtStockroom())
  bench = await given.openBench()
}, 300_000)
afterAll(() => given?.close())

const patience = { timeout: 240_000 }

const draft =
  'Stands behind the ladder since spring. Two tins are dented and go to the counter first; whoever finds a third one ' +
  'writes it here. The supplier takes back what is not opened until the very last day of May.'

const picture = {
  name: 'shelf.png',
  mimeType: 'image/png',
  buffer: readFileSync(fileURLToPath(new URL('../web/public/icon-512.png', import.meta.url))),
}

/** Pixels of the photo that is shown, from left to right; 0 until one is. */
const widthOf = (drawer: Locator): Promise<number> =>
  drawer
    .getByRole('figure')
    .getByRole('img')
    .evaluate((image) => (image as unknown as { readonly naturalWidth: number }).naturalWidth)

test(
  'two workers give an item two prices offline: both see the conflict, one settles it, and all agree',
  patience,
  async () => {
    const [ana, ben, office] = [bench.device('ana'), bench.device('ben'), bench.device('office')]
    await ana.setAirplane(true)
    await ben.setAirplane(true)
    for (const [device, price] of [
      [ana, '1.50'],
      [ben, '2.75'],
    ] as const) {
      const item = await device.openItem('FA-00042')
      await item.getByLabel('Price').fill(price)
      await item.getByRole('button', { name: 'Save' }).click()
      await device.frame.getByText('1 to send').waitFor()
    }
    await ana.setAirplane(false)
    await ana.frame.getByText('all sent').waitFor()
    await ben.setAirplane(false)
    for (const device of [ana, ben, office]) await device.frame.getByText('1 to decide').waitFor()

    // Also where it is the question of others.
    const atOffice = await office.openItem('FA-00042')
    await atOffice.getByText('Conflict', { exact: true }).waitFor()
    expect(await atOffice.getByText('Saved', { exact: true }).count()).toBe(0)
    const question = ben.app.getByRole('dialog').getByRole('article')
    const row = question.getByRole('row', { name: 'Price' })
    await expect.poll(() => row.getByRole('cell').allTextContents()).toEqual(['2.75', '1.50'])
    await question.getByRole('button', { name: 'Keep theirs' }).click()

    for (const device of [ana, ben, office]) await device.frame.getByText('all sent').waitFor()
    for (const { app } of [ana, ben]) {
      await app.getByRole('article').waitFor({ state: 'detached' })
      await expect.poll(() => app.getByRole('textbox', { name: 'Price' }).inputValue()).toBe('1.50')
    }
    await atOffice.getByText('Saved', { exact: true }).waitFor()
    await office.closeItem()
    const history = ana.app.getByRole('region', { name: 'History' })
    await history.getByText('Left to a person').first().waitFor()
    await ana.closeItem()
    await ben.closeItem()
  },
)

test('counts of two workers add up, and the movements say whose they were', patience, async () => {
  const [ana, ben, office] = [bench.device('ana'), bench.device('ben'), bench.device('office')]
  await ana.setAirplane(true)
  await ben.setAirplane(true)
  const atAna = await ana.openItem('PL-02770')
  expect(await atAna.getByTestId('stock').textContent()).toBe('214')
  await atAna.getByLabel('How many').fill('6')
  await atAna.getByRole('button', { name: 'Receive' }).click()

  // Ben counts on his sheet, where the place of the item is N-15-5.
  await ben.go('Count')
  await ben.app.getByRole('textbox', { name: 'Shelf' }).fill('15-5')
  const found = ben.app.getByLabel('Found of Ball valve 10 mm, black, 200 pcs')
  await found.fill('210')
  await found.press('Enter')
  await ben.frame.getByText('2 to send').waitFor()
  for (const device of [ana, ben]) await device.setAirplane(false)
  for (const device of [ana, ben]) await device.frame.getByText('all sent').waitFor()

  await atAna.getByText('216', { exact: true }).waitFor()
  await office.go('Movements')
  const movements = office.app.getByRole('group', { name: 'Movements' })
  await movements.getByText('Ben Okafor counted').waitFor()
  await movements.getByText('Ana Sousa received').waitFor()
  await movements.getByText('−4').waitFor()
  await movements.getByText('+6').waitFor()
  await ana.closeItem()
})

test(
  'two workers edit different parts of one item offline: place, note and everybody’s tags all stay',
  patience,
  async () => {
    const [ana, ben] = [bench.device('ana'), bench.device('ben')]
    // One after the other: the browser types into whatever has the focus of the page.
    const atAna = await ana.openItem('EL-04010')
    const atBen = await ben.openItem('EL-04010')
    const items = [atAna, atBen]
    await ana.setAirplane(true)
    await ben.setAirplane(true)
    await atAna.getByLabel('Location').fill('Z-01-1')
    await atAna.getByRole('button', { name: 'Save' }).click()
    await atBen.getByLabel('Notes').fill('Behind the ladder.')
    await atBen.getByRole('button', { name: 'Save' }).click()
    for (const [item, tag] of [
      [atAna, 'by ana'],
      [atBen, 'by ben'],
    ] as const) {
      await item.getByRole('combobox', { name: 'Tags' }).fill(tag)
      await item.getByRole('combobox', { name: 'Tags' }).press('Enter')
    }
    for (const device of [ana, ben]) await device.frame.getByText('2 to send').waitFor()
    for (const device of [ana, ben]) await device.setAirplane(false)
    for (const device of [ana, ben]) await device.frame.getByText('all sent').waitFor()
    for (const item of items) {
      for (const tag of ['by ana', 'by ben']) await item.getByText(tag, { exact: true }).first().waitFor()
      await expect.poll(() => item.getByLabel('Location').inputValue()).toBe('Z-01-1')
      await expect.poll(() => item.getByLabel('Notes').inputValue()).toBe('Behind the ladder.')
      await item.getByText('Saved', { exact: true }).waitFor()
    }
    await ana.closeItem()
    await ben.closeItem()
  },
)

test(
  'a removal meets an edit: a person is asked, and keeping the edit brings the item back whole',
  patience,
  async () => {
    const [ana, ben, office] = [bench.device('ana'), bench.device('ben'), bench.device('office')]
    const before = await given.itemOnServer('FA-00100')
    await ana.setAirplane(true)
    await ben.setAirplane(true)
    const atAna = await ana.openItem('FA-00100')
    await atAna.getByRole('button', { name: 'Remove this item' }).click()
    const question = ana.app.getByRole('dialog', { name: 'Remove this item?' })
    await question.getByRole('button', { name: 'Remove', exact: true }).click()
    await ana.app.getByText('0 items').waitFor()
    await ana.app.getByRole('dialog').first().waitFor({ state: 'detached' })
    const atBen = await ben.openItem('FA-00100')
    await atBen.getByLabel('Notes').fill('The last box. Keep it.')
    await atBen.getByRole('button', { name: 'Save' }).click()
    for (const device of [ana, ben]) await device.frame.getByText('1 to send').waitFor()
    await ana.setAirplane(false)
    await ana.frame.getByText('all sent').waitFor()
    expect(await given.itemOnServer('FA-00100')).toBeNull()

    await ben.setAirplane(false)
    for (const device of [ana, ben, office]) await device.frame.getByText('1 to decide').waitFor()
    const conflict = atBen.getByRole('article')
    const notes = conflict.getByRole('row', { name: 'Notes' })
    await expect
      .poll(() => notes.getByRole('cell').allTextContents())
      .toEqual(['The last box. Keep it.', 'Deleted there'])
    await conflict.getByRole('button', { name: 'Keep mine' }).click()
    for (const device of [ana, ben, office]) await device.frame.getByText('all sent').waitFor()
    await ana.app.getByText('1 item', { exact: true }).waitFor()
    const again = await ana.openItem('FA-00100')
    expect(await again.getByLabel('Notes').inputValue()).toBe('The last box. Keep it.')
    const after = await given.itemOnServer('FA-00100')
    const { name, price, stock, location } = before?.row ?? {}
    expect(after?.row).toMatchObject({ name, price, stock, location, notes: 'The last box. Keep it.' })
    await ana.closeItem()
    await ben.closeItem()
  },
)

test('a place that lost is found in the history, and brought back by a click', patience, async () => {
  const [ana, ben] = [bench.device('ana'), bench.device('ben')]
  await ana.setAirplane(true)
  await ben.setAirplane(true)
  const atAna = await ana.openItem('TO-06600')
  await atAna.getByRole('textbox', { name: 'Location' }).fill('Z-03-1')
  await atAna.getByRole('button', { name: 'Save' }).click()
  await ana.frame.getByText('1 to send').waitFor()
  const atBen = await ben.openItem('TO-06600')
  await atBen.getByRole('textbox', { name: 'Location' }).fill('Z-04-1')
  await atBen.getByRole('button', { name: 'Save' }).click()
  await ben.frame.getByText('1 to send').waitFor()
  for (const device of [ana, ben]) {
    await device.setAirplane(false)
    await device.frame.getByText('all sent').waitFor()
  }
  const lost = atAna.getByRole('region', { name: 'Values that lost' })
  await lost.getByText('location Z-03-1').waitFor()
  await lost.getByText('Ana Sousa').waitFor()
  await expect.poll(() => atAna.getByRole('textbox', { name: 'Location' }).inputValue()).toBe('Z-04-1')
  await lost.getByRole('button', { name: 'Bring back location Z-03-1' }).click()

  for (const item of [atAna, atBen]) {
    await expect.poll(() => item.getByRole('textbox', { name: 'Location' }).inputValue()).toBe('Z-03-1')
    await item.getByRole('region', { name: 'Values that lost' }).waitFor({ state: 'detached' })
    await item.getByText('location Z-04-1 → Z-03-1').waitFor()
  }
  const item = await given.itemOnServer('TO-06600')
  expect(item?.row['location']).toBe('Z-03-1')
  expect(item?.history.map(({ user, op }) => [user, op])).toEqual([
    ['ana', 'update'],
    ['ben', 'update'],
    ['ana', 'update'],
    [null, 'create'],
  ])
  await ana.closeItem()
  await ben.closeItem()
})

test('fifty edits of one draft are safe one by one, and travel as few', patience, async () => {
  const [ana, office] = [bench.device('ana'), bench.device('office')]
  await ana.setAirplane(true)
  const item = await ana.openItem('PA-08200')
  const notes = item.getByLabel('Notes')
  const save = item.getByRole('button', { name: 'Save' })
  let writtenBytes = 0
  for (let length = draft.length - 49; length <= draft.length; length++) {
    const text = draft.slice(0, length)
    await notes.fill(text)
    await save.press('Enter')
    // What was saved comes back by a live query; until then the field shows what was there before.
    await expect.poll(() => notes.inputValue(), { interval: 20 }).toBe(text)
    writtenBytes += length
  }
  await ana.frame.getByText('50 to send').waitFor()
  await ana.setAirplane(false)
  await ana.frame.getByText('all sent').waitFor()

  const atOffice = await office.openItem('PA-08200')
  await expect.poll(() => atOffice.getByLabel('Notes').inputValue()).toBe(draft)
  const after = await given.itemOnServer('PA-08200')
  expect(after?.row['notes']).toBe(draft)
  // One, or one more for each time that this machine let five seconds pass between two edits, which then lie sealed.
  const pushes = given.wire.pushesOf(after?.id ?? '')
  const heard = given.wire.heardOf(after?.id ?? '')
  expect(after?.history).toHaveLength(heard.length + 1)
  expect(heard.length).toBeLessThan(10)
  expect(pushes.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)).toBeLessThan(writtenBytes / 2)
  await ana.closeItem()
  await office.closeItem()
})

test(
  '[BR-15] a device that is killed in airplane mode starts in it again and has its unsent work',
  patience,
  async () => {
    const [ana, ben] = [bench.device('ana'), bench.device('ben')]
    await ana.setAirplane(true)
    const item = await ana.openItem('TO-06500')
    const before = Number(await item.getByTestId('stock').textContent())
    await item.getByRole('button', { name: 'Receive' }).click()
    await ana.frame.getByText('2 to send').waitFor()
    await ana.kill()
    await ana.app.getByText('Offline · 2 to send').waitFor()
    const again = await ana.openItem('TO-06500')
    expect(await again.getByTestId('stock').textContent()).toBe(String(before + 10))
    await ana.setAirplane(false)
    await ana.frame.getByText('all sent').waitFor()
    const atBen = await ben.openItem('TO-06500')
    await atBen.getByText(String(before + 10), { exact: true }).waitFor()
    await ana.closeItem()
    await ben.closeItem()
  },
)

test(
  'a photo is taken offline, survives a kill, is sent on its own, and the others see it',
  patience,
  async () => {
    const [ana, office] = [bench.device('ana'), bench.device('office')]
    await ana.setAirplane(true)
    const item = await ana.openItem('FA-00084')
    await item.getByLabel('Photo of the item').setInputFiles(picture)
    await item.getByText('Only on this device so far').waitFor()
    await expect.poll(() => widthOf(item)).toBe(512)
    await ana.kill()
    await ana.app.getByText('Offline · 2 to send').waitFor()
    const again = await ana.openItem('FA-00084')
    await expect.poll(() => widthOf(again)).toBe(512)

    await ana.setAirplane(false)
    await ana.frame.getByText('all sent').waitFor()
    await again.getByText('Only on this device so far').waitFor({ state: 'detached' })
    const atOffice = await office.openItem('FA-00084')
    await expect.poll(() => widthOf(atOffice)).toBe(512)

    // Gone for everybody, and the history has it.
    await atOffice.getByRole('button', { name: 'Remove photo' }).click()
    await again.getByRole('figure').waitFor({ state: 'detached' })
    await again.getByRole('button', { name: 'Add a photo' }).waitFor()
    for (const device of [ana, office]) await device.closeItem()
  },
)

test('what is no picture is refused where it was chosen, and nothing is written', patience, async () => {
  const ana = bench.device('ana')
  const item = await ana.openItem('FA-00126')
  const text = { name: 'notes.png', mimeType: 'image/png', buffer: Buffer.from('no picture at all') }
  await item.getByLabel('Photo of the item').setInputFiles(text)
  await item.getByRole('alert').getByText('This file is no picture').waitFor()
  expect(await item.getByRole('figure').count()).toBe(0)
  await ana.closeItem()
})

test('what the server refuses is shown with its reason, and can be put right', patience, async () => {
  const ben = bench.device('ben')
  const item = await ben.openItem('PA-08100')
  await item.getByLabel('Price').fill('1200')
  await item.getByRole('button', { name: 'Save' }).click()
  await ben.frame.getByText('1 refused').waitFor()
  await ben.closeItem()
  await ben.go('Decisions')
  await ben.app.getByText('owner’s word').first().waitFor()
  await ben.app.getByRole('button', { name: 'Edit and retry' }).click()
  await ben.app.getByLabel('Price').fill('99.00')
  await ben.app.getByRole('button', { name: 'Save and retry' }).click()
  await ben.frame.getByText('all sent').waitFor()
})

test(
  '10,000 items: any words find them, and only lines that are seen are in the page',
  patience,
  async () => {
    const ana = bench.device('ana')
    const { app } = ana
    await ana.go('Items')
    await app.getByRole('textbox', { name: 'Search items' }).fill('')
    await app.getByText('10,000 items').waitFor()
    expect(await app.getByRole('group', { name: 'Items' }).getByRole('button').count()).toBeLessThan(60)
    await app.getByRole('textbox', { name: 'Search items' }).fill('brass bolt m10')
    await app.getByText('30 items').waitFor()
    await app.getByRole('textbox', { name: 'Search items' }).fill('')
    await app.getByText('Low', { exact: true }).click()
    await app.getByText(/^1,0\d\d items$/).waitFor()
    await app.getByText('All', { exact: true }).click()
  },
)

test(
  'without a server the app opens from what the browser keeps, and what is done then is sent later',
  patience,
  async () => {
    const page = await given.openApp('office')
    await page.waitForFunction('navigator.serviceWorker.controller !== null')
    await given.setServer(false)
    await page.reload()
    await page.getByText('Offline').waitFor()
    await page.getByRole('button', { name: 'Items' }).click()
    await page.getByText('10,000 items').waitFor()
    await page.getByRole('textbox', { name: 'Search items' }).fill('EL-04001')
    await page.getByText('EL-04001').click()
    await page.getByRole('button', { name: 'Take one' }).click()
    await page.getByText('Offline · 2 to send').waitFor()
    await page.reload()
    await page.getByText('Offline · 2 to send').waitFor()
    await given.setServer(true)
    await page.getByText('All sent').waitFor()
    await page.close()
  },
)

test('signing out with unsent work says so, and the work is there for the next time', patience, async () => {
  const page = await given.openApp('office')
  const menu = page.getByRole('button', { name: 'Account of Ida Holm' })
  await menu.click()
  await page.getByRole('menuitem', { name: 'Airplane mode' }).click()
  await page.getByRole('button', { name: 'Items' }).click()
  await page.getByRole('textbox', { name: 'Search items' }).fill('EL-04002')
  await page.getByText('EL-04002').click()
  const item = page.getByRole('dialog')
  await item.getByLabel('Location').fill('Z-01-1')
  await item.getByRole('button', { name: 'Save' }).click()
  await item.getByRole('button', { name: 'Close' }).click()
  await menu.click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.getByText('Not on the server yet: 1 change.').waitFor()
  await page.getByRole('button', { name: 'Sign out anyway' }).click()

  await page.getByRole('button', { name: 'Ida Holm' }).click()
  await page.getByText('Offline · 1 to send').waitFor()
  await menu.click()
  await page.getByRole('menuitem', { name: 'Leave airplane mode' }).click()
  await page.getByText('All sent').waitFor()
  await menu.click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.getByText('Everything you did has reached the server.').waitFor()
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await page.getByText('Who is working?').waitFor()
  await page.close()
})

test('the browser has nothing against installing the app', patience, async () => {
  const errorsOf = async (path: string): Promise<readonly string[]> => {
    const page = await given.context.newPage()
    await page.goto(`${given.url}${path}`)
    const session = await given.context.newCDPSession(page)
    const { installabilityErrors } = await session.send('Page.getInstallabilityErrors')
    await page.close()
    return installabilityErrors.map(({ errorId }) => errorId)
  }
  expect(await errorsOf('/app/')).toEqual([])
  // The bench is no app, so that the browser would say so.
  expect(await errorsOf('/')).toContain('no-manifest')
})
