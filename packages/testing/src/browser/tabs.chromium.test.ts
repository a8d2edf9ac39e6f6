import type { Page } from 'playwright'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

import { type OpenChromium, openChromium } from './open-chromium.ts'
import { closeLeader, crash, openTabs, type Tabs } from './open-tabs.ts'

let chromium: OpenChromium
let tabs: Tabs
beforeAll(async () => {
  chromium = await openChromium()
})
afterAll(() => chromium.close())
beforeEach(async () => {
  tabs = await openTabs(chromium)
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
  await second.waitForFunction(() => shop.notes.length === 1)
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

test('[BR-4] what waits, what was refused and what the device holds is told in every tab', async () => {
  const first = await tabs.tab()
  const second = await tabs.tab()
  await second.evaluate(async () => {
    shop.db.outbox.watch((entries) => shop.notes.push(`waiting ${entries.length}`))
    shop.db.deadLetters.watch((letters) => shop.notes.push(`refused ${letters.length}`))
    await shop.db.outbox.list()
  })
  await second.waitForFunction(() => shop.notes.length === 2)
  const id = await first.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp' }))
  await second.waitForFunction(() => shop.notes.includes('waiting 1'))
  const [mine, theirs] = await Promise.all(
    [first, second].map((page) => page.evaluate(() => shop.db.inspect())),
  )
  expect(mine).toEqual(theirs)
  const explained = await second.evaluate((record) => shop.db.explain('items', record), id)
  expect(explained).toEqual(await first.evaluate((record) => shop.db.explain('items', record), id))
  expect(await first.evaluate(() => shop.db.sync.now())).toEqual({ status: 'done', code: null })
  await second.waitForFunction(
    () => shop.notes.findLast((note) => String(note).startsWith('waiting')) === 'waiting 0',
  )
  expect(await second.evaluate(() => shop.notes)).not.toContain('refused 1')
})

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
    await expect.poll(() => acknowledged.size, { timeout: 60_000 }).toBeGreaterThan(wanted)
  }
  for (; killed < 6; killed++) {
    await enough(20)
    // The oldest leads; now and then another dies.
    const [victim] = pages.splice(killed % 3 === 2 ? Math.floor(Math.random() * pages.length) : 0, 1)
    if (victim === undefined) throw new Error('there is no tab left')
    if (killed % 2 === 0) await victim.close()
    else await crash(victim)
    pages.push(await open())
  }
  await enough(20)
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

test('[AT-21] what a tab adds and writes while the leading tab is closed is there once, and every tab is told of it', async () => {
  const [first, second] = [await tabs.tab(), await tabs.tab()]
  for (const page of [first, second]) await page.evaluate(() => shop.openPhotos())
  const adding = second.evaluate(async () => {
    shop.photos.attachments.watch((uploads) => shop.notes.push(uploads.length))
    for (let n = 1; n <= 40; n++) {
      const bytes = new Uint8Array(300_000).fill(n)
      // What a person chose in a page is a file there.
      const photo = await shop.photos.attachments.add(n % 2 === 0 ? bytes : new Blob([bytes]), {
        name: `${n}`,
      })
      await shop.photos.places.insert({ name: `${n}`, photo })
    }
    const places = await shop.photos.query((q) => q.selectFrom('places').select(['id', 'name', 'photo']))
    const read = places.map(async ({ id, name, photo }) => {
      const bytes = photo && (await shop.photos.attachments.read({ collection: 'places', record: id }, photo))
      return bytes?.length === 300_000 && bytes.every((byte) => byte === Number(name))
    })
    return Promise.all(read)
  })
  await second.waitForFunction(() => shop.notes.length > 10)
  await first.close()
  expect(await adding).toEqual(Array.from({ length: 40 }, () => true))
  await second.waitForFunction(() => shop.notes.at(-1) === 40)
  expect(await second.evaluate(async () => (await shop.photos.attachments.list()).length)).toBe(40)
})

test('[BR-17] a tab whose worker cannot be loaded lives on the leader, and leads itself once it can', async () => {
  const first = await tabs.tab()
  const script = '**/holdfast-worker*'
  await chromium.context.route(script, async (route) => {
    // Not before the tab has something under way.
    await new Promise((resolve) => setTimeout(resolve, 50))
    await route.abort()
  })
  const second = await tabs.tab()
  const refused = await second.evaluate(async () => {
    const errors: string[] = []
    const insert = (name: string): Promise<unknown> =>
      shop.db.items.insert({ site: 'north', name }).catch((error: unknown) => errors.push(String(error)))
    const until = performance.now() + 500
    for (let n = 0; performance.now() < until; n++) {
      await Promise.all([insert(`${n} a`), insert(`${n} b`), insert(`${n} c`)])
    }
    return errors
  })
  expect(refused).toEqual([])
  await chromium.context.unroute(script)
  await closeLeader(first, second)
  await second.evaluate(() => shop.db.items.insert({ site: 'north', name: 'last' }))
})

test('[BR-6] a transaction of another tab is whole or not at all, whoever goes in the middle of it', async () => {
  const first = await tabs.tab()
  const second = await tabs.tab()
  const third = await tabs.tab()
  // The function waits in the middle until the test has closed the tab that leads.
  const transacting = second.evaluate(async () => {
    const runs: string[] = []
    const value = await shop.db.transaction(async (tx) => {
      const id = await tx.items.insert({ site: 'north', name: 'one' })
      runs.push(id)
      shop.notes.push('inside')
      await tx.items.increment(id, { stock: 2 })
      while (runs.length === 1 && !shop.notes.includes('go on'))
        await new Promise((done) => setTimeout(done, 5))
      await tx.items.insert({ site: 'north', name: 'two' })
      return (await tx.query((q) => q.selectFrom('items').select('name').orderBy('name'))).map(
        ({ name }) => name,
      )
    })
    return { value, runs: runs.length }
  })
  await second.waitForFunction(() => shop.notes.includes('inside'))
  await closeLeader(first, second)
  await second.evaluate(() => shop.notes.push('go on'))
  expect(await transacting).toEqual({ value: ['one', 'two'], runs: 2 })
  const rows = await third.evaluate(() =>
    shop.db.query((q) => q.selectFrom('items').select(['name', 'stock']).orderBy('name')),
  )
  expect(rows).toEqual([
    { name: 'one', stock: 2 },
    { name: 'two', stock: 0 },
  ])
  const entries = await third.evaluate(() => shop.db.outbox.list())
  expect(new Set(entries.map(({ group }) => group)).size).toBe(1)
})

test('[BR-6] a tab that dies inside its transaction leaves nothing of it and keeps nobody waiting', async () => {
  const first = await tabs.tab()
  const second = await tabs.tab()
  void second
    .evaluate(() =>
      shop.db.transaction(async (tx) => {
        await tx.items.insert({ site: 'north', name: 'never' })
        shop.notes.push('inside')
        await new Promise(() => undefined)
      }),
    )
    .catch(() => undefined)
  await second.waitForFunction(() => shop.notes.includes('inside'))
  await crash(second)
  await first.evaluate(() => shop.db.items.insert({ site: 'north', name: 'next' }))
  expect(await first.evaluate(() => shop.db.query((q) => q.selectFrom('items').select('name')))).toEqual([
    { name: 'next' },
  ])
})

test('[BR-6] what the function of a transaction throws is thrown, and nothing was written', async () => {
  await tabs.tab()
  const second = await tabs.tab()
  const outcome = await second.evaluate(async () => {
    try {
      await shop.db.transaction(async (tx) => {
        await tx.items.insert({ site: 'north', name: 'never' })
        throw new RangeError('of the app')
      })
      return 'committed'
    } catch (error) {
      return String(error)
    }
  })
  expect(outcome).toBe('RangeError: of the app')
  expect(await second.evaluate(() => shop.db.outbox.list())).toEqual([])
})

test('[BR-8] rows that did not change are the same objects, also when another tab takes the lead', async () => {
  const first = await tabs.tab()
  const second = await tabs.tab()
  const ids = await second.evaluate(async () => {
    const made = await shop.db.items.insertMany(['a', 'b', 'c'].map((name) => ({ site: 'north', name })))
    shop.db.watch(
      (q) => q.selectFrom('items').select(['id', 'name', 'tags']).orderBy('name'),
      (rows) => shop.notes.push(rows),
    )
    return made
  })
  await second.waitForFunction(() => shop.notes.length === 1)
  await closeLeader(first, second)
  // Answered by the next leader, who begins every query anew.
  await second.evaluate((id) => shop.db.items.update(id, { name: 'z' }), ids[0] ?? '')
  await second.waitForFunction(() => shop.notes.length === 2)
  const same = await second.evaluate(() => {
    const [before, after] = shop.notes as unknown[][]
    return after?.map((row) => before?.indexOf(row))
  })
  expect(same).toEqual([1, 2, -1])
})

test('[BR-9] the leader asks a living tab for tokens', async () => {
  const first = await tabs.tab()
  const second = await tabs.tab({ user: 'ann.second' })
  expect(await first.evaluate(() => shop.db.sync.now())).toEqual({ status: 'done', code: null })
  expect(await first.evaluate(() => shop.asked)).toEqual(['start'])
  await closeLeader(first, second)
  expect(await second.evaluate(() => shop.db.sync.now())).toEqual({ status: 'done', code: null })
  expect(await second.evaluate(() => shop.asked)).toEqual(['start'])
})

test('[BR-4] errors are those of the member that was called, with their codes', async () => {
  await tabs.tab()
  const second = await tabs.tab()
  const codes = await second.evaluate(async () => {
    const codeOf = (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => 'none',
        (error: unknown) => String(Reflect.get(Object(error), 'code')),
      )
    return [
      await codeOf(shop.db.items.update(crypto.randomUUID(), { name: 'x' })),
      await codeOf(shop.db.items.insert({ site: 'north', name: 7 as unknown as string })),
      await codeOf(shop.db.items.insert({ site: 'north', name: (() => 'x') as unknown as string })),
      await codeOf(shop.db.deadLetters.get('nothing')),
      await codeOf(shop.db.query((q) => q.selectFrom('items').select('nothing' as 'name'))),
      await codeOf(shop.db.close().then(() => shop.db.items.insert({ site: 'north', name: 'late' }))),
    ]
  })
  expect(codes).toEqual([
    'RECORD_NOT_FOUND',
    'VALUE_INVALID',
    'VALUE_INVALID',
    'RECORD_NOT_FOUND',
    'STORE_FAILED',
    'CLIENT_CLOSED',
  ])
})

test('[BR-4] a tab of another account is refused, and the others go on', async () => {
  const first = await tabs.tab({ account: 'ann' })
  await expect(tabs.tab({ account: 'ben' })).rejects.toThrow(/the account "ann", not for "ben"/)
  await first.evaluate(() => shop.db.items.insert({ site: 'north', name: 'Lamp' }))
})

test('[BR-10] a pause holds when another tab takes the lead', async () => {
  const first = await tabs.tab({ auto: true })
  const second = await tabs.tab({ auto: true })
  await first.evaluate(async () => {
    shop.db.sync.pause()
    await shop.db.status.get()
  })
  await second.evaluate(() => shop.db.status.get())
  await closeLeader(first, second)
  expect(await second.evaluate(() => shop.db.sync.now())).toMatchObject({ status: 'paused' })
  await second.evaluate(() => shop.db.sync.resume())
  expect(await second.evaluate(() => shop.db.sync.now())).toMatchObject({ status: 'done' })
})

test('[BR-10] a pause holds also in tabs that were not there, or asleep, when it began or ended', async () => {
  const first = await tabs.tab({ auto: true })
  await first.evaluate(async () => {
    shop.db.sync.pause()
    await shop.db.status.get()
  })
  const second = await tabs.tab({ auto: true })
  await closeLeader(first, second)
  expect(await second.evaluate(() => shop.db.sync.now())).toMatchObject({ status: 'paused' })
  const third = await tabs.tab({ auto: true })
  // What Chromium tells a page before it freezes it.
  await second.evaluate(() => void document.dispatchEvent(new Event('freeze')))
  await third.evaluate(() => shop.db.sync.resume())
  expect(await third.evaluate(() => shop.db.sync.now())).toMatchObject({ status: 'done' })
  await second.evaluate(async () => {
    document.dispatchEvent(new Event('resume'))
    await shop.db.status.get()
  })
  await closeLeader(third, second)
  expect(await second.evaluate(() => shop.db.sync.now())).toMatchObject({ status: 'done' })
})

test('[BR-13] a tab of a newer schema takes the lead; the older one goes on through it until it would have to lead', async () => {
  const older = await tabs.tab({ server: false })
  await older.evaluate(() => shop.db.items.insert({ site: 'north', name: 'before' }))
  const newer = await tabs.tab({ server: false, version: 2 })
  await newer.evaluate(() => shop.db.items.insert({ site: 'north', name: 'after' }))
  const names = (page: Page): Promise<readonly { name: string }[]> =>
    page.evaluate(() => shop.db.query((q) => q.selectFrom('items').select('name').orderBy('name')))
  expect(await names(newer)).toEqual([{ name: 'after' }, { name: 'before' }])
  expect(await names(older)).toEqual([{ name: 'after' }, { name: 'before' }])
  await closeLeader(newer, older)
  await expect(names(older)).rejects.toThrow(/schema 2/)
})
