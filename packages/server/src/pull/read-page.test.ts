import { type Change, newUuid, type PullResponse } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isOnPostgres } from '../given-database.ts'
import { type GivenDevice, type GivenEngine, givenEngine, item, type RawMutation } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'

let given: GivenEngine
let ann: GivenDevice

beforeEach(async () => {
  given = await givenEngine()
  ann = given.device()
})

afterEach(() => given.close())

const outside = (sql: Parameters<GivenEngine['run']>[0]): Promise<void> => given.run(sql)

function take(next: GivenEngine): void {
  given = next
}

async function givenBackup(): Promise<void> {
  take(await given.backup())
  ann = Object.assign(given.device(), { cursor: ann.cursor })
}

async function givenRestore(): Promise<void> {
  take(await given.restore())
  ann = Object.assign(given.device(), { cursor: ann.cursor })
}

/** PostgreSQL tells by a clock of its own when a row was deleted: the clock of the test goes to the last change. */
async function meetDatabaseClock(): Promise<void> {
  if (!isOnPostgres) return
  const [last] = await given.rows(
    'SELECT floor(extract(epoch FROM max(at)) * 1000)::bigint AS ms FROM holdfast_feed',
  )
  given.advance(Number(last?.['ms']) - given.nowMs())
}

/** Items pushed by somebody, named 0, 1, 2, … */
async function givenItems(count: number, warehouse = '1'): Promise<readonly RawMutation[]> {
  const author = given.device('author', [`warehouse:${warehouse}`])
  const items = Array.from({ length: count }, (_, index) =>
    author.create('items', item({ name: String(index), warehouse })),
  )
  for (let at = 0; at < count; at += 1_000) await author.push(...items.slice(at, at + 1_000))
  return items
}

const recordsOf = (changes: readonly Change[]): readonly string[] => changes.map(({ record }) => record)
const target = (record: string): { readonly collection: string; readonly record: string } => ({
  collection: 'items',
  record,
})

describe('pull', () => {
  test('[PL-6] B04: 500 rows of one statement and one time come in 5 pages, each once', async () => {
    const rows = Array.from(
      { length: 500 },
      (_, n) =>
        `('${newUuid(systemEnvironment())}', '1', 'B-${n}', 'bulk', 1, '[]', '2026-11-20T10:00:00.000Z')`,
    )
    await outside(
      `INSERT INTO items (id, warehouse, sku, name, stock, tags, updated_at) VALUES ${rows.join(',')}`,
    )
    const pages: PullResponse[] = []
    for (let page = await ann.page({ limit: 100 }); ; page = await ann.page({ limit: 100 })) {
      pages.push(page)
      ann.cursor = page.cursor
      if (!page.more) break
    }
    expect(pages.map(({ changes }) => changes.length)).toEqual([100, 100, 100, 100, 100])
    expect(new Set(pages.flatMap(({ changes }) => recordsOf(changes))).size).toBe(500)
  })

  test('[PL-6] a page of fat rows is closed early', async () => {
    await given.close()
    given = await givenEngine({ limits: { pageBytes: 10_000 } })
    ann = given.device()
    await ann.push(
      ...Array.from({ length: 10 }, () => ann.create('items', item({ name: 'x'.repeat(4_000) }))),
    )
    const ben = given.device('ben')
    expect((await ben.page()).changes).toHaveLength(3)
    expect(recordsOf(await ben.pull())).toHaveLength(10)
    const eve = given.device('eve')
    expect((await eve.snapshotPage()).changes).toHaveLength(3)
    expect(recordsOf(await eve.snapshot())).toHaveLength(10)
  })

  test('[PL-7] B06, B07: rows committed between two pages come in this pull or the next, and none is passed over', async () => {
    const items = await givenItems(30)
    const seen: Change[] = []
    const late: string[] = []
    for (let n = 0; ; n++) {
      const page = await ann.page({ limit: 7 })
      for (const change of page.changes) await ann.apply(change)
      seen.push(...page.changes)
      ann.cursor = page.cursor
      if (!page.more) break
      // One row that was read, one that was not, one new one.
      if (n < 3) {
        const unread =
          items.findLast(({ record }) => ![...recordsOf(seen), ...late].includes(record))?.record ?? ''
        late.push(unread)
        await outside(`UPDATE items SET name = 'again ${n}' WHERE id IN ('${seen[n]?.record}', '${unread}')`)
        await givenItems(1)
      }
    }
    expect(
      ann.values('items', 'name').filter((name) => typeof name === 'string' && name.startsWith('again')),
    ).toEqual(['again 0', 'again 0', 'again 1', 'again 1', 'again 2', 'again 2'])
    expect(ann.rows.size).toBe(33)
    expect(recordsOf(seen).filter((record) => record === late[0])).toHaveLength(1)
  })

  test('[PL-17] B12: pages that are read or applied twice change nothing', async () => {
    await givenItems(20)
    const start = ann.cursor
    const first = await ann.pull({ limit: 5 })
    const before = new Map(ann.rows)
    const end = ann.cursor
    ann.cursor = start
    expect(await ann.pull({ limit: 5 })).toEqual(first)
    expect([ann.rows, ann.cursor]).toEqual([before, end])
    given = await given.reopen()
    expect(await given.engine.pull(ann.caller, { since: end })).toMatchObject({ changeCount: 0, more: false })
  })

  test('[PL-9] a device is told that it has what its own mutation made, others are sent the row', async () => {
    const laptop = ann.create('items', item({ name: 'mine' }))
    await ann.push(laptop)
    const ben = given.device('ben')
    expect(await ann.pull()).toMatchObject([{ op: 'have', record: laptop.record, version: 1 }])
    expect(await ben.pull()).toMatchObject([
      { op: 'put', record: laptop.record, version: 1, data: { name: 'mine' } },
    ])
    await ben.push(ben.update(laptop, {}, { increments: { stock: 1 }, baseVersion: 1 }))
    await ann.push(ann.update(laptop, { name: 'merged' }, { base: { name: 'mine' }, baseVersion: 1 }))
    expect(await ann.pull()).toMatchObject([{ op: 'put', data: { name: 'merged', stock: 11 } }])
    const again = given.device()
    expect((await again.snapshot()).map(({ op }) => op)).toEqual(['put'])
  })

  test('[PL-9] what its own mutation made comes whole where a device asks for that', async () => {
    const laptop = ann.create('items', item({ name: 'mine' }))
    await ann.push(laptop)
    const { cursor } = ann
    const put = { op: 'put', record: laptop.record, version: 1, data: { name: 'mine' } }
    expect(await ann.pull({ whole: true })).toMatchObject([put])
    ann.cursor = cursor
    expect(await ann.pull({ whole: false })).toMatchObject([{ op: 'have' }])
  })

  test('[PL-9] an own chain of exact mutations ends in a version the device has', async () => {
    const laptop = ann.create('items', item())
    const first = ann.update(laptop, { name: 'a' }, { base: { name: 'Laptop' }, after: laptop.id })
    const second = ann.update(laptop, { name: 'b' }, { base: { name: 'a' }, after: first.id })
    await ann.push(laptop)
    await ann.push(first)
    expect((await ann.pushOne(second)).record).toBeUndefined()
    expect(await ann.pull()).toMatchObject([{ op: 'have', version: 3 }])
  })

  test('[PL-8] the last page brings the outcomes of its moment, until they are acknowledged', async () => {
    const items = [1, 2, 3].map(() => ann.create('items', item()))
    await ann.push(...items)
    for (const _ of [1, 2]) {
      const page = await ann.page({ limit: 1 })
      expect(page).toMatchObject({ outcomes: [], more: true })
      ann.cursor = page.cursor
    }
    const last = await ann.page({ limit: 1 })
    expect(last.more).toBe(false)
    expect(last.outcomes).toMatchObject(
      items.map(({ id, seq }) => ({ id, seq, covers: String(seq), status: 'applied', version: seq })),
    )
    expect((await ann.page()).outcomes).toEqual(last.outcomes)
    ann.ack = '1-2'
    await ann.push()
    expect((await ann.page()).outcomes).toMatchObject([{ seq: 3 }])
    expect((await given.device('ben').page()).outcomes).toEqual([])
  })

  test('[PL-11] a pull may ask for some of its scopes, and gives up the others', async () => {
    ann.grants = ['warehouse:1', 'warehouse:2']
    await givenItems(2, '1')
    await givenItems(3, '2')
    expect(await ann.pull()).toHaveLength(5)
    const narrow = await ann.page({ scopes: ['warehouse:2', 'warehouse:9'] })
    expect(narrow.scopes).toMatchObject({ entered: [], revoked: ['warehouse:1'] })
    await ann.pull({ scopes: ['warehouse:2'] })
    expect(ann.rows.size).toBe(3)
  })

  test('[PL-12] who sees everything reads every scope, and rows in none', async () => {
    await givenItems(2, '1')
    await givenItems(2, '2')
    const boss = given.device('boss', '*')
    const changes = await boss.pull({ limit: 3 })
    expect(changes.map(({ scope, op }) => [scope, op])).toEqual(changes.map(() => ['*', 'put']))
    expect(boss.rows.size).toBe(4)
    const [first] = changes
    await outside(
      `UPDATE items SET warehouse = '3' WHERE id = '${first?.record}'; DELETE FROM items WHERE id = '${changes[1]?.record}'`,
    )
    expect((await boss.pull()).map(({ op }) => op)).toEqual(['put', 'delete'])
    const other = given.device('boss', '*')
    expect(await other.snapshot({ limit: 2 })).toHaveLength(3)
    expect((await other.page()).scopes).toMatchObject({ entered: [], revoked: [] })
  })
})

describe('cursors', () => {
  test('[PL-3] a cursor that was edited is refused', async () => {
    await givenItems(1)
    await ann.pull()
    const cursors = [
      '',
      'x',
      'e30',
      `${ann.cursor}x!`.slice(3),
      Buffer.from('{"e":1}').toString('base64url'),
      Buffer.from('[1]').toString('base64url'),
    ]
    for (const since of cursors) {
      await expect(given.engine.pull(ann.caller, { since })).rejects.toMatchObject({
        code: 'CURSOR_INVALID',
        retry: 'resync',
      })
    }
  })

  test('[PL-3] a cursor with text that no store can hold is refused', async () => {
    await givenItems(1)
    await ann.pull()
    const shape = JSON.parse(Buffer.from(ann.cursor ?? '', 'base64url').toString()) as object
    for (const text of ['\0', '\ud800']) {
      for (const wrong of [{ s: { hash: text } }, { s: [text] }, { a: { [text]: 1 } }, { t: text }]) {
        const since = Buffer.from(JSON.stringify({ ...shape, ...wrong })).toString('base64url')
        await expect(given.engine.pull(ann.caller, { since })).rejects.toMatchObject({
          code: 'CURSOR_INVALID',
        })
      }
    }
  })

  test('[PL-11, PL-15] a scope that no store can hold is nobody’s, also for who sees everything', async () => {
    await givenItems(1)
    const { caller } = given.device('boss', '*')
    expect(await given.engine.pull(caller, { scopes: ['\0'] })).toMatchObject({ changeCount: 0 })
    await expect(given.engine.snapshot(caller, { scope: '\0' })).rejects.toMatchObject({
      code: 'SCOPE_DENIED',
    })
  })

  test('[PL-4, PU-27, PR-5] B32: behind the horizon a cursor expires, and edits of what is gone are told so', async () => {
    const items = await givenItems(10)
    await ann.pull()
    await outside(`DELETE FROM items WHERE sku IN (SELECT sku FROM items LIMIT 5)`)
    await meetDatabaseClock()
    given.advance(100 * 86_400_000)
    const fresh = given.device('fresh')
    await fresh.page({ limit: 1 })
    const { collected, horizon } = await given.engine.collectTombstones({ olderThanMs: -1 })
    expect([collected, horizon]).toEqual([5, (await given.engine.stats()).head])
    await expect(ann.page()).rejects.toMatchObject({ code: 'CURSOR_EXPIRED', retry: 'resync' })
    const edits = await ann.push(
      ...items.map(({ record }, index) =>
        ann.update(target(record), { price: '1.00' }, { base: { price: '899.00' }, baseVersion: index + 1 }),
      ),
    )
    expect(edits.map(({ error }) => error?.code ?? 'applied').sort()).toEqual([
      ...Array<string>(5).fill('STALE_TARGET'),
      ...Array<string>(5).fill('applied'),
    ])
    ann.cursor = undefined
    ann.rows.clear()
    await ann.snapshot()
    expect(ann.rows.size).toBe(5)
  })

  test('[PL-4, PR-5] B16: a tombstone is kept as long as it was asked for, by the clock of the server', async () => {
    const [first] = await givenItems(1)
    await ann.pull()
    given.advance(1_000)
    await ann.push(
      ann.delete(target(first?.record ?? ''), {
        baseVersion: 1,
        at: `2020-01-01T00:00:00.000Z-0000-${ann.id}`,
      }),
    )
    const ben = given.device('ben')
    await meetDatabaseClock()
    given.advance(60_000)
    expect(await given.engine.collectTombstones({ olderThanMs: 61_000 })).toMatchObject({ collected: 0 })
    expect(await ann.pull()).toMatchObject([{ op: 'delete' }])
    await ben.pull()
    expect(await given.engine.collectTombstones({ olderThanMs: 59_000 })).toMatchObject({
      collected: 1,
      horizon: (await given.engine.stats()).head,
    })
    expect((await ann.page()).changes).toEqual([])
  })

  test('[FE-14] collecting tombstones leaves softly deleted rows and the history, and the row can be restored', async () => {
    const laptop = ann.create('items', item({ name: 'Laptop' }))
    await ann.push(laptop, ann.delete(laptop, { after: laptop.id }))
    await meetDatabaseClock()
    given.advance(86_400_000)
    expect(await given.engine.collectTombstones({ olderThanMs: 0 })).toMatchObject({ collected: 1 })
    const live = await given.rows('SELECT name FROM items WHERE deleted_at IS NULL')
    const deleted = await given.rows('SELECT name FROM items WHERE deleted_at IS NOT NULL')
    const ops = await given.rows('SELECT op FROM holdfast_audit ORDER BY n')
    await outside('UPDATE items SET deleted_at = NULL')
    expect([live, deleted, ops]).toEqual([[], [{ name: 'Laptop' }], [{ op: 'create' }, { op: 'delete' }]])
    const ben = given.device('ben')
    await ben.pull()
    expect(ben.values('items', 'name')).toEqual(['Laptop'])
  })

  test('[PL-5] a cursor of another server, or one this server has not reached, is of another history', async () => {
    await givenItems(3)
    await ann.pull()
    const other = await givenEngine()
    const stranger = other.device()
    stranger.cursor = ann.cursor
    await expect(stranger.page()).rejects.toMatchObject({ code: 'EPOCH_CHANGED', retry: 'resync' })
    await other.close()
    await outside({
      sqlite: 'UPDATE holdfast_state SET counter = 2',
      postgres: 'DELETE FROM holdfast_transactions',
    })
    await expect(ann.page()).rejects.toMatchObject({ code: 'EPOCH_CHANGED' })
  })

  test('[PL-21] B14: a restored server tells its own cursors from those of the history it lost, however far it has come', async () => {
    await givenItems(3)
    await ann.pull()
    const shared = ann.cursor
    const snapshot = (await ann.snapshotPage({ limit: 1 })).cursor
    const scoped = (await ann.snapshotPage({ cursor: shared, scope: 'warehouse:1', limit: 1 })).cursor
    await givenBackup()
    await givenItems(3)
    await ann.pull()
    const lost = {
      pull: ann.cursor,
      snapshot: (await ann.snapshotPage({ limit: 1 })).cursor,
      scoped: (await ann.snapshotPage({ cursor: shared, scope: 'warehouse:1', limit: 1 })).cursor,
    }
    ann.cursor = undefined
    const paging = (await ann.page({ limit: 1 })).cursor
    await givenRestore()
    await givenItems(9)
    const refused = { code: 'EPOCH_CHANGED', retry: 'resync' }
    for (const since of [lost.pull, paging]) await expect(ann.page({ since })).rejects.toMatchObject(refused)
    for (const cursor of [lost.snapshot, lost.scoped])
      await expect(ann.snapshotPage({ cursor })).rejects.toMatchObject(refused)
    expect((await ann.page({ since: shared })).changes).toHaveLength(9)
    for (const cursor of [snapshot, scoped])
      expect((await ann.snapshotPage({ cursor })).changes).toHaveLength(11)
  })

  test('[PL-23] a number the device was answered for and the server does not know is of a lost history', async () => {
    await ann.push(ann.create('items', item()))
    const refused = { code: 'EPOCH_CHANGED', retry: 'resync' }
    await expect(ann.page({ answered: '1-2' })).rejects.toMatchObject(refused)
    await expect(given.device().page({ answered: '1' })).rejects.toMatchObject(refused)
    expect((await ann.page({ answered: '1', ack: '1' })).outcomes).toEqual([])
  })

  test('[PL-23] so is a key that it was told had been decided, under whatever name or number', async () => {
    const first = ann.create('items', item())
    await ann.push(first)
    const refused = { code: 'EPOCH_CHANGED', retry: 'resync' }
    const copy = given.device()
    for (const device of [ann, copy]) {
      expect((await device.page({ decided: [first.id] })).more).toBe(false)
      const unknown = ann.create('items', item()).id
      await expect(device.page({ decided: [first.id, unknown] })).rejects.toMatchObject(refused)
    }
  })

  // PostgreSQL marks each transaction instead, and needs no openings.
  test.skipIf(isOnPostgres)(
    '[PL-21] openings without a write leave no trace, and those behind the horizon are forgotten',
    async () => {
      const openings = async (): Promise<readonly unknown[]> =>
        (await given.rows('SELECT position FROM holdfast_openings ORDER BY position')).map(
          ({ position }) => position,
        )
      for (let n = 0; n < 3; n++) await given.reopen().then(take)
      expect(await openings()).toEqual([0])
      for (let n = 0; n < 3; n++) {
        await givenItems(2)
        await given.device().pull()
        await given.reopen().then(take)
      }
      expect(await openings()).toEqual([0, 2, 4, 6])
      const reader = given.device()
      await reader.pull()
      await outside(`DELETE FROM items WHERE name = '1' AND version = 6`)
      given.advance(30 * 86_400_000)
      await given.engine.collectTombstones({ olderThanMs: 0 })
      expect(await openings()).toEqual([6])
      await expect(reader.page()).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' })
    },
  )

  test('[PL-2] a long list of scopes is kept by the server, and the cursor stays short', async () => {
    ann.grants = Array.from({ length: 300 }, (_, n) => `warehouse:${n}`)
    await givenItems(2, '1')
    await givenItems(2, '299')
    await ann.pull()
    expect(ann.rows.size).toBe(4)
    expect((ann.cursor ?? '').length).toBeLessThan(200)
    await givenItems(1, '150')
    expect(await ann.pull()).toHaveLength(1)
    ann.grants = ann.grants.slice(0, 299)
    expect((await ann.page()).scopes).toMatchObject({ entered: [], revoked: ['warehouse:299'] })
  })

  test('[PL-1] a cursor is where its pull left off, whatever else moved', async () => {
    await givenItems(3)
    await ann.pull()
    await givenItems(3, '2')
    expect(await ann.pull()).toEqual([])
    await givenItems(1)
    expect(await ann.pull()).toHaveLength(1)
    expect(await ann.pull()).toEqual([])
  })
})

describe('snapshots', () => {
  test('[PL-13] B07: in pages by key while rows change, move and go, the end is what the server has', async () => {
    const items = await givenItems(1_000)
    let round = 0
    const pick = (n: number): string => items[(n * 7_919) % items.length]?.record ?? ''
    await ann.snapshot({ limit: 100 }, async () => {
      round++
      await outside(`UPDATE items SET name = 'changed ${round}' WHERE id IN ('${pick(round)}', '${pick(round + 100)}');
        DELETE FROM items WHERE id IN ('${pick(round + 200)}', '${pick(round + 300)}');
        UPDATE items SET warehouse = '2' WHERE id IN ('${pick(round + 400)}', '${pick(round + 500)}')`)
      await givenItems(1)
    })
    await ann.pull()
    const fresh = given.device('fresh')
    await fresh.pull()
    expect(round).toBeGreaterThan(8)
    expect(Object.fromEntries(ann.rows)).toEqual(Object.fromEntries(fresh.rows))
  })

  test('[PL-13] B11: what is committed while a snapshot is read is pulled from its cursor', async () => {
    await givenItems(4)
    const first = await ann.snapshotPage({ limit: 2 })
    await givenItems(1)
    const second = await ann.snapshotPage({ cursor: first.cursor, limit: 2 })
    await givenItems(1)
    const third = second.more ? await ann.snapshotPage({ cursor: second.cursor, limit: 2 }) : second
    for (const page of new Set([first, second, third]))
      for (const change of page.changes) await ann.apply(change)
    ann.cursor = third.cursor
    await ann.pull()
    expect(ann.rows.size).toBe(6)
  })

  test('[PL-16] B41: children may come before their parents, and everything comes', async () => {
    const order = ann.create('orders', { warehouse: '1', item: '', next: null })
    const laptop = ann.create('items', item())
    await ann.push(laptop, { ...order, changes: { warehouse: '1', item: laptop.record, next: null } })
    // The item changes last, so that it comes after the order that refers to it.
    await ann.push(ann.update(laptop, { name: 'late' }, { base: { name: 'Laptop' }, after: laptop.id }))
    const ben = given.device('ben')
    expect((await ben.pull({ limit: 1 })).map(({ collection }) => collection)).toEqual(['orders', 'items'])
  })

  test('[PL-14, SC-2] B39: a scope that was entered is snapshotted alone, and the others are not sent again', async () => {
    await givenItems(3, '1')
    await givenItems(5, '2')
    await ann.pull()
    ann.grants = ['warehouse:1', 'warehouse:2']
    await givenItems(1, '1')
    const page = await ann.page()
    expect(page.scopes).toMatchObject({ entered: ['warehouse:2'], revoked: [] })
    expect(page.changes).toHaveLength(1)
    for (const change of page.changes) await ann.apply(change)
    const [moving] = await givenItems(2, '1')
    expect(await ann.snapshot({ cursor: page.cursor, scope: 'warehouse:2', limit: 2 })).toHaveLength(5)
    await outside(`UPDATE items SET warehouse = '2' WHERE id = '${moving?.record}'`)
    const rest = await ann.pull()
    expect((await ann.page()).scopes).toMatchObject({ entered: [], revoked: [] })
    expect(rest.map(({ op, scope }) => `${op} ${scope}`).sort()).toEqual([
      'leave warehouse:1',
      'put warehouse:1',
      'put warehouse:2',
    ])
    expect(ann.rows.size).toBe(11)
  })

  test('[PL-14, SC-2] B39: granted, revoked and granted again, the content is whole each time', async () => {
    await givenItems(3, '2')
    for (const size of [3, 0, 3]) {
      ann.grants = size === 0 ? ['warehouse:1'] : ['warehouse:1', 'warehouse:2']
      const page = await ann.page()
      ann.revoke(page.scopes.revoked)
      for (const change of page.changes) await ann.apply(change)
      ann.cursor = page.cursor
      for (const scope of page.scopes.entered) await ann.snapshot({ cursor: ann.cursor, scope })
      expect(ann.rows.size).toBe(size)
    }
  })

  test('[PL-14] a snapshot of one scope without a cursor leaves a cursor for that scope and what everybody sees', async () => {
    await givenItems(2, '1')
    await ann.push(ann.create('notes', { body: 'for all' }))
    const ben = given.device('ben', ['warehouse:1', 'warehouse:2'])
    await ben.snapshot({ scope: 'warehouse:1' })
    await ben.pull()
    expect([ben.values('items', 'name'), ben.values('notes', 'body')]).toEqual([['0', '1'], ['for all']])
  })

  test('[PL-15] a scope that is not granted has no snapshot, and one that was revoked meanwhile is read no further', async () => {
    await expect(ann.snapshotPage({ scope: 'warehouse:2' })).rejects.toMatchObject({ code: 'SCOPE_DENIED' })
    await givenItems(4, '1')
    await givenItems(4, '2')
    ann.grants = ['warehouse:1', 'warehouse:2']
    const first = await ann.snapshotPage({ limit: 6 })
    expect(first.changes).toHaveLength(6)
    ann.grants = ['warehouse:1']
    const second = await ann.snapshotPage({ cursor: first.cursor, limit: 6 })
    expect([second.changes, second.more, second.scopes.revoked]).toEqual([[], false, ['warehouse:2']])
    expect(second.scopes.version).not.toBe(first.scopes.version)
  })
})

describe('scopes', () => {
  test('[SC-1] grants are those of each request; what everybody sees and what is one’s own need none', async () => {
    await ann.push(ann.create('notes', { body: 'for all' }))
    const eve = given.device('eve', [])
    const page = await eve.page()
    expect(page.changes).toMatchObject([{ collection: 'notes', scope: 'global' }])
    expect(page.scopes).toMatchObject({ entered: [], revoked: [] })
  })

  test('[SC-3, PR-6] B40: after a revocation not a byte of the scope is sent, in whatever the device was', async () => {
    await givenItems(10, '1')
    const [page, snapshot] = [await ann.page({ limit: 3 }), await ann.snapshotPage({ limit: 3 })]
    ann.grants = []
    await givenItems(1, '1')
    const next = await ann.page({ since: page.cursor })
    expect([next.changes, next.scopes.revoked]).toEqual([[], ['warehouse:1']])
    expect((await ann.snapshotPage({ cursor: snapshot.cursor })).changes).toEqual([])
    expect((await ann.page({ since: next.cursor })).scopes.revoked).toEqual([])
  })

  test('[SC-5] a copy of everything cannot become a copy of some scopes, nor the other way', async () => {
    const boss = given.device('boss', '*')
    await boss.pull()
    boss.grants = ['warehouse:1']
    await expect(boss.page()).rejects.toMatchObject({ code: 'CURSOR_EXPIRED', retry: 'resync' })
    await ann.pull()
    ann.grants = '*'
    await expect(ann.page()).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' })
  })

  test('[SC-6] the version of the grants changes when they do, and only then', async () => {
    ann.grants = ['warehouse:1', 'warehouse:2']
    const { version } = (await ann.page()).scopes
    ann.grants = ['warehouse:2', 'warehouse:1']
    expect((await ann.page()).scopes.version).toBe(version)
    ann.grants = ['warehouse:2']
    expect((await ann.page()).scopes.version).not.toBe(version)
  })
})

describe('by time', () => {
  const since = async (device: GivenDevice, time: string | null, name: string | null = 'items') => {
    const { text, syncTimestamp } = await given.engine.changesSince(device.caller, name, time)
    return { rows: JSON.parse(text) as readonly Record<string, unknown>[], syncTimestamp }
  }

  test('[PL-18] rows are chosen by the position an issued time stands for, not by their own times', async () => {
    await givenItems(2)
    const first = await since(ann, null)
    const told = first.rows.map(({ name, version, collection }) => [name, version, collection])
    expect(told.sort(([left], [right]) => Number(left) - Number(right))).toEqual([
      ['0', 1, 'items'],
      ['1', 2, 'items'],
    ])
    given.advance(1_000)
    await outside(
      `UPDATE items SET name = 'old news', updated_at = '2001-01-01T00:00:00.000Z' WHERE name = '0'`,
    )
    const second = await since(ann, first.syncTimestamp)
    expect(second.rows).toMatchObject([{ name: 'old news', updated_at: '2001-01-01T00:00:00.000Z' }])
    given.advance(1_000)
    expect((await since(ann, second.syncTimestamp)).rows).toEqual([])
  })

  test('[PL-19] two answers of one ms repeat rows and leave out none', async () => {
    const first = await since(ann, null)
    await givenItems(1)
    expect((await since(ann, first.syncTimestamp)).rows).toHaveLength(1)
    expect((await since(ann, first.syncTimestamp)).rows).toHaveLength(1)
  })

  test('[PL-20] a row that is gone for the reader is a deletion, and other grants mean everything again', async () => {
    ann.grants = ['warehouse:1', 'warehouse:2']
    const [first, second, third] = await givenItems(3)
    const start = await since(ann, null)
    given.advance(1_000)
    await outside(
      `UPDATE items SET warehouse = '2' WHERE id = '${first?.record}'; UPDATE items SET warehouse = '3' WHERE id = '${second?.record}'; DELETE FROM items WHERE id = '${third?.record}'`,
    )
    const { rows, syncTimestamp } = await since(ann, start.syncTimestamp)
    expect(new Map(rows.map(({ id, deleted_at }) => [id, deleted_at !== null]))).toEqual(
      new Map([
        [first?.record, false],
        [second?.record, true],
        [third?.record, true],
      ]),
    )
    expect(rows).toHaveLength(3)
    given.advance(1_000)
    ann.grants = ['warehouse:2']
    expect((await since(ann, syncTimestamp)).rows.map(({ id }) => id)).toEqual([first?.record])
  })

  test('[PL-22] a time that a restored server no longer knows means everything again', async () => {
    await givenItems(2)
    const known = await since(ann, null)
    await givenBackup()
    given.advance(2_000)
    await givenItems(1)
    const lost = await since(ann, known.syncTimestamp)
    expect(lost.rows).toHaveLength(1)
    await givenRestore()
    given.advance(5_000)
    await given.reopen().then(take)
    ann = Object.assign(given.device(), { cursor: ann.cursor })
    expect((await since(ann, known.syncTimestamp)).rows).toHaveLength(0)
    given.advance(1_000)
    expect((await since(ann, lost.syncTimestamp)).rows).toHaveLength(2)
  })
})
