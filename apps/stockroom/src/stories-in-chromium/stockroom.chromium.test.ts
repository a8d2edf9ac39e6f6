import { afterAll, beforeAll, expect, test } from 'vitest'

import { type Bench, type GivenStockroom, givenStockroom } from './given-stockroom.ts'

// One warehouse and one page for all stories: each has an item of its own.
let given: GivenStockroom
let bench: Bench
beforeAll(async () => {
  given = await givenStockroom()
  bench = await given.openBench()
}, 300_000)
afterAll(() => given?.close())

const patience = { timeout: 240_000 }

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
    expect(await row.getByRole('cell').allTextContents()).toEqual(['2.75', '1.50'])
    await question.getByRole('button', { name: 'Keep theirs' }).click()

    for (const device of [ana, ben, office]) await device.frame.getByText('all sent').waitFor()
    for (const { app } of [ana, ben]) {
      await app.getByRole('article').waitFor({ state: 'detached' })
      expect(await app.getByLabel('Price').inputValue()).toBe('1.50')
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
    const items = await Promise.all([ana, ben].map((device) => device.openItem('EL-04010')))
    const [atAna, atBen] = items
    if (!atAna || !atBen) throw new Error('both have the item')
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
  await page.getByText('1 change has not reached the server.').waitFor()
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
