import type { Page } from 'playwright'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { openTabs, type Tabs } from './open-tabs.ts'

let tabs: Tabs
beforeEach(async () => {
  tabs = await openTabs()
})
afterEach(() => tabs.close())

test('[BR-4] two tabs have one database: what one writes the other reads and is told', async () => {
  const first = await tabs.tab()
  const second = await tabs.tab()
  await second.evaluate(() => {
    shop.db.watch(
      (q) => q.selectFrom('items').select(['name', 'fragile', 'tags']).orderBy('name'),
      (rows) => shop.notes.push(rows),
    )
  })
  const id = await first.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp', tags: ['x'] }))
  expect(await second.evaluate((record) => shop.db.items.get(record), id)).toMatchObject({ name: 'Lamp' })
  await second.waitForFunction(() => shop.notes.length === 2)
  expect(await second.evaluate(() => shop.notes)).toEqual([
    [],
    [{ name: 'Lamp', fragile: false, tags: ['x'] }],
  ])
  await second.evaluate((record) => shop.db.items.update(record, { name: 'Lantern' }), id)
  expect(await first.evaluate(() => shop.db.query((q) => q.selectFrom('items').select('name')))).toEqual([
    { name: 'Lantern' },
  ])
  expect(await first.evaluate(() => shop.db.sync.now())).toEqual({ status: 'done', code: null })
})

/** Ends a renderer as the system does when it wants the memory. */
async function crash(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page)
  const gone = new Promise((resolve) => page.once('crash', resolve))
  session.send('Page.crash').catch(() => undefined)
  await gone
}

test('[BR-5] the leading tab is closed in the middle of writes of another: none is lost or doubled', async () => {
  const first = await tabs.tab()
  const second = await tabs.tab()
  const id = await first.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp', stock: 0 }))
  const writing = second.evaluate(async (record) => {
    for (let n = 0; n < 300; n++) {
      // Several at a time, so that some are under way whenever the leader goes.
      await Promise.all([1, 2, 3].map(() => shop.db.items.increment(record, { stock: 1 })))
      shop.notes.push(n)
    }
  }, id)
  await second.waitForFunction(() => shop.notes.length > 50)
  await first.close()
  await writing
  expect(await second.evaluate((record) => shop.db.items.get(record), id)).toMatchObject({ stock: 900 })
  expect(await second.evaluate(async () => (await shop.db.outbox.list()).length)).toBe(901)
})

test('[BR-5] five tabs write while tabs are closed and killed at random: what was told is there, once', async () => {
  const acknowledged = new Set<string>()
  let killed = 0
  const open = async (): Promise<Page> => {
    const page = await tabs.tab()
    await page.exposeFunction('acknowledge', (name: string) => acknowledged.add(name))
    await page.evaluate((tab) => {
      const acknowledge = Reflect.get(globalThis, 'acknowledge') as (name: string) => Promise<void>
      const write = async (): Promise<void> => {
        for (let n = 0; ; n++) {
          const name = `${tab}.${n}`
          await shop.db.items.insert({ site: 'north', name })
          await acknowledge(name)
        }
      }
      void write()
    }, `tab ${killed}-${Math.random()}`)
    return page
  }
  const pages: Page[] = []
  for (let n = 0; n < 5; n++) pages.push(await open())
  const enough = async (more: number): Promise<void> => {
    const wanted = acknowledged.size + more
    await expect.poll(() => acknowledged.size, { timeout: 20_000 }).toBeGreaterThan(wanted)
  }
  for (; killed < 6; killed++) {
    await enough(60)
    // The oldest leads; now and then another dies.
    const [victim] = pages.splice(killed % 3 === 2 ? Math.floor(Math.random() * pages.length) : 0, 1)
    if (victim === undefined) throw new Error('there is no tab left')
    if (killed % 2 === 0) await victim.close()
    else await crash(victim)
    pages.push(await open())
  }
  await enough(60)
  const [last] = pages
  for (const page of pages.slice(1)) await page.close()
  const names = await last?.evaluate(async () => {
    const rows = await shop.db.query((q) => q.selectFrom('items').select('name'))
    return rows.map(({ name }) => name)
  })
  const counts = new Map<string, number>()
  for (const name of names ?? []) counts.set(name, (counts.get(name) ?? 0) + 1)
  expect([...counts].filter(([, count]) => count > 1)).toEqual([])
  expect([...acknowledged].filter((name) => !counts.has(name))).toEqual([])
  // A tab that died had one write under way at most.
  expect(counts.size - acknowledged.size).toBeLessThanOrEqual(11)
})
