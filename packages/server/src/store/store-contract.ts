import {
  collection,
  counter,
  defineSchema,
  type Environment,
  newUuid,
  type Schema,
  text,
  type Values,
} from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemEnvironment } from '../system-environment.ts'
import type { FeedPage, Reached, ReadFrom, RecordWrite, Store, StoreReader, StoreWriter } from './store.ts'

const schema: Schema = defineSchema({
  version: 1,
  collections: {
    items: collection({ fields: { place: text(), name: text(), stock: counter() }, scope: 'place:{place}' }),
    notes: collection({ fields: { body: text() }, deletes: 'hard' }),
  },
})

/** A store to test: `create` makes a new, empty one for a schema, that nobody has opened; `destroy` removes it. */
export interface StoreUnderTest {
  readonly create: (schema: Schema) => Promise<Store>
  readonly destroy: (store: Store) => Promise<void>
}

const env: Environment = systemEnvironment()
const now = '2026-11-20T10:00:00.000Z'
const bounds = { rows: 100, bytes: 1_000_000 }

function insertOf(values: Values, version: number, more: Partial<RecordWrite> = {}): RecordWrite {
  return {
    collection: 'items',
    id: newUuid(env),
    version,
    values,
    isInTable: false,
    write: 'insert',
    changed: new Set(),
    maker: null,
    createdAt: now,
    updatedAt: now,
    serverUpdatedAt: now,
    deletedAt: null,
    clocks: {},
    clocksChanged: false,
    ...more,
  }
}

/** What every store must do, whatever it keeps its rows in. Run it from the store's own test file. */
export function describeStore(name: string, { create, destroy }: StoreUnderTest): void {
  describe(`${name} keeps the contract of stores`, () => {
    let store: Store

    beforeEach(async () => {
      store = await create(schema)
      await store.open({ schema, env })
    })

    afterEach(() => destroy(store))

    /** Takes one version. */
    async function take(tx: StoreWriter): Promise<number> {
      const version = await tx.firstVersion()
      await tx.reserve(1, now)
      return version
    }

    /** One item in a scope, in a transaction of its own. */
    async function insert(
      values: Partial<Record<'place' | 'name', string>> = {},
      more: Partial<RecordWrite> = {},
    ): Promise<RecordWrite> {
      return store.write(async (tx) => {
        const record = insertOf({ place: 'a', name: 'n', stock: 0, ...values }, await take(tx), more)
        await tx.writeRecords([record])
        return record
      })
    }

    const parsed = (texts: readonly string[]): readonly Record<string, unknown>[] =>
      texts.map((each) => JSON.parse(each) as Record<string, unknown>)
    const start: Reached = { position: 0, ahead: {} }
    const all: ReadFrom = { ...start, scopes: '*' }
    const from = (reached: Reached, ...places: readonly string[]): ReadFrom => ({
      ...reached,
      scopes: places.map((place) => `place:${place}`),
    })

    test('[FE-21] a transaction that throws leaves nothing, and the next one goes on', async () => {
      const failed = store.write(async (tx) => {
        await tx.writeRecords([insertOf({ place: 'a', name: 'lost', stock: 0 }, await take(tx))])
        throw new Error('given up')
      })
      await expect(failed).rejects.toThrow('given up')
      expect(await store.read((tx) => tx.state())).toMatchObject({ head: 0, horizon: 0 })
      const { id } = await insert()
      const { changes } = await store.read((tx) => tx.feedPage(all, bounds, null))
      expect(parsed(changes).map(({ record }) => record)).toEqual([id])
    })

    test('[FE-22] of two writers of one record the second decides on what the first has made of it', async () => {
      const { id } = await insert()
      const addOne = (): Promise<number> =>
        store.write(async (tx) => {
          const [stored] = await tx.records('items', [id])
          if (!stored) throw new Error('it is there')
          await Promise.resolve()
          const version = await take(tx)
          const values = { ...stored.values, stock: Number(stored.values['stock']) + 1 }
          await tx.writeRecords([
            insertOf(values, version, { id, write: 'update', changed: new Set(['stock']), isInTable: true }),
          ])
          return version
        })
      const versions = await Promise.all(Array.from({ length: 8 }, addOne))
      const [stored] = await store.read((tx) => tx.records('items', [id]))
      expect(stored?.values['stock']).toBe(8)
      expect(stored?.version).toBe(Math.max(...versions))
      expect(new Set(versions).size).toBe(8)
    })

    test('[FE-23] a reader sees one moment, and never half a transaction', async () => {
      await insert()
      const seen = async (tx: StoreReader): Promise<readonly number[]> => [
        (await tx.state()).head,
        (await tx.feedPage(all, bounds, null)).changes.length,
      ]
      const reading = store.read(async (tx) => {
        const before = await seen(tx)
        await Promise.resolve()
        return [before, await seen(tx)]
      })
      await Promise.all([reading, insert()])
      const [first, second] = await reading
      expect(second).toEqual(first)
      expect((await store.read(seen))[1]).toBe(2)
    })

    test('[FE-24] a record is read as it was written, and as a change in its scope', async () => {
      const written = await insert({ name: 'crate' })
      const [read] = await store.read((tx) => tx.records('items', [written.id, newUuid(env)]))
      expect(read).toEqual({
        id: written.id,
        version: written.version,
        values: { place: 'a', name: 'crate', stock: 0 },
        createdAt: now,
        updatedAt: now,
        serverUpdatedAt: now,
        deletedAt: null,
        clocks: {},
        isInTable: true,
      })
      const page = await store.read((tx) => tx.feedPage(from(start, 'a', 'b'), bounds, null))
      expect(parsed(page.changes)).toEqual([
        {
          collection: 'items',
          record: written.id,
          op: 'put',
          scope: 'place:a',
          version: written.version,
          serverUpdatedAt: now,
          data: { place: 'a', name: 'crate', stock: 0, created_at: now, updated_at: now },
        },
      ])
      expect(page.more).toBe(false)
      const again = await store.read((tx) => tx.feedPage(from(page.reached, 'a', 'b'), bounds, null))
      expect(again).toEqual({ changes: [], reached: page.reached, more: false })
    })

    test('[FE-25] a record has one entry per scope: put where it is, leave where it was, delete when it is gone', async () => {
      const { id } = await insert()
      const moved = await insert(
        { place: 'b' },
        { id, write: 'update', changed: new Set(['place']), isInTable: true },
      )
      const ops = async (): Promise<readonly unknown[]> => {
        const page = await store.read((tx) => tx.feedPage(from(start, 'a', 'b'), bounds, null))
        const told = parsed(page.changes).map(
          ({ scope, op, version }) => [String(scope), op, version] as const,
        )
        return told.sort((left, right) => left[0].localeCompare(right[0]))
      }
      expect(await ops()).toEqual([
        ['place:a', 'leave', moved.version],
        ['place:b', 'put', moved.version],
      ])
      const gone = await insert(
        { place: 'b' },
        { id, write: 'update', changed: new Set(['deleted_at']), deletedAt: now, isInTable: true },
      )
      expect(await ops()).toEqual([
        ['place:a', 'leave', moved.version],
        ['place:b', 'delete', gone.version],
      ])
      expect(await store.read((tx) => tx.scopesOf('items', id))).toEqual(['place:b'])
    })

    test('[FE-25] a record that is deleted for good leaves its values and a tombstone', async () => {
      const note: Partial<RecordWrite> = { collection: 'notes', values: { body: 'hello' } }
      const { id } = await insert({}, note)
      const { version } = await insert({}, { ...note, id, write: 'delete', deletedAt: now, isInTable: true })
      expect(await store.read((tx) => tx.records('notes', [id]))).toMatchObject([
        { id, version, values: { body: 'hello' }, deletedAt: now, isInTable: false },
      ])
      const page = await store.read((tx) => tx.feedPage({ ...start, scopes: ['global'] }, bounds, null))
      expect(parsed(page.changes)).toMatchObject([{ op: 'delete', record: id, version }])
      const back = await insert({}, { ...note, id })
      expect(await store.read((tx) => tx.records('notes', [id]))).toMatchObject([
        { version: back.version, deletedAt: null, isInTable: true },
      ])
    })

    test('[FE-26] pages hold so many rows or bytes, in order of position, and say whether more is there', async () => {
      const versions: number[] = []
      for (const place of ['a', 'b', 'a', 'c', 'b'])
        versions.push((await insert({ place, name: 'x'.repeat(1_000) })).version)
      const page = (reached: Reached, rows: number, bytes = 1_000_000) =>
        store.read((tx) => tx.feedPage(from(reached, 'a', 'b'), { rows, bytes }, null))
      const told = ({ changes }: FeedPage): readonly number[] =>
        parsed(changes).map(({ version }) => versions.indexOf(Number(version)) + 1)
      const first = await page(start, 3)
      expect([told(first), first.more]).toEqual([[1, 2, 3], true])
      const second = await page(first.reached, 3)
      expect([told(second), second.more]).toEqual([[5], false])
      const narrow = await page(start, 10, 1_500)
      expect([told(narrow), narrow.more]).toEqual([[1, 2], true])
      expect(told(await page(narrow.reached, 10))).toEqual([3, 5])
      const everything = await store.read((tx) => tx.feedPage(all, { rows: 2, bytes: 1_000_000 }, null))
      expect([told(everything), everything.more]).toEqual([[1, 2], true])
      const rest = await store.read((tx) => tx.feedPage({ ...everything.reached, scopes: '*' }, bounds, null))
      expect([told(rest), rest.more]).toEqual([[3, 4, 5], false])
      expect(parsed(rest.changes).map(({ scope }) => scope)).toEqual(['*', '*', '*'])
    })

    test('[FE-26] a reader of very many scopes is told the same, in the same pages, as one of few', async () => {
      const many = Array.from({ length: 40 }, (_, at) => `p${at}`)
      const pagesOf = async (places: readonly string[], rows: number): Promise<readonly unknown[]> => {
        const pages: unknown[] = []
        let reached: Reached = { position: 0, ahead: { 'place:p7': read.ahead } }
        for (let more = true; more; ) {
          const asked = from(reached, ...places)
          const page = await store.read((tx) => tx.feedPage(asked, { rows, bytes: 1_000_000 }, null))
          pages.push(page.changes)
          ;({ reached, more } = page)
        }
        return pages
      }
      const read = { ahead: 0 }
      for (const place of ['p3', 'p7', 'other', 'p3', 'p7']) {
        await insert({ place })
        // The first of p7 was read before.
        if (place === 'p7' && read.ahead === 0) read.ahead = (await store.read((tx) => tx.state())).head
      }
      const few = await pagesOf(['p3', 'p7'], 2)
      expect(few.flat().length).toBe(3)
      expect(await pagesOf(many, 2)).toEqual(few)
      // So many that they are looked for scope by scope.
      for (let round = 0; round < 6; round++)
        await store.write(async (tx) => {
          const version = await tx.firstVersion()
          await tx.reserve(many.length, now)
          const values = { name: 'n', stock: 0 }
          await tx.writeRecords(many.map((place, at) => insertOf({ ...values, place }, version + at)))
        })
      expect((await pagesOf(many, 70)).flat().length).toBe(few.flat().length + 6 * many.length)
      expect(await pagesOf(['p3', 'p7'], 100)).toEqual([
        (await pagesOf(many, 500)).flat().filter((text) => /"place:p[37]"/.test(String(text))),
      ])
    })

    test('[FE-26] [FE-62] a page may end within a transaction, and the next one goes on where it ended', async () => {
      const ids = await store.write(async (tx) => {
        const version = await tx.firstVersion()
        await tx.reserve(25, now)
        const records = Array.from({ length: 25 }, (_, at) =>
          insertOf({ place: at % 2 === 0 ? 'a' : 'b', name: 'n', stock: 0 }, version + at),
        )
        await tx.writeRecords(records)
        return records.map(({ id }) => id)
      })
      const last = (await insert()).id
      for (const scopes of [['place:a', 'place:b'], '*'] as const) {
        const told: unknown[] = []
        let page: FeedPage = { changes: [], reached: start, more: true }
        while (page.more) {
          const { reached } = page
          page = await store.read((tx) =>
            tx.feedPage({ ...reached, scopes }, { rows: 4, bytes: 9_999 }, null),
          )
          told.push(...parsed(page.changes).map(({ record }) => record))
        }
        expect(new Set(told)).toEqual(new Set([...ids, last]))
        expect(told.length).toBe(26)
        expect(told.at(-1)).toBe(last)
      }
    })

    test('[FE-26] a page that ends with a record that moved has what that means in each scope, and ends', async () => {
      const [{ id }, second] = [await insert(), await insert()]
      for (const moved of [id, second.id])
        await insert(
          { place: 'b' },
          { id: moved, write: 'update', changed: new Set(['place']), isInTable: true },
        )
      const told: string[] = []
      let page: FeedPage = { changes: [], reached: start, more: true }
      while (page.more) {
        const { reached } = page
        page = await store.read((tx) => tx.feedPage(from(reached, 'a', 'b'), { rows: 1, bytes: 9_999 }, null))
        const changes = parsed(page.changes).map(({ record, op, scope }) => `${record} ${op} ${scope}`)
        told.push(changes.sort().join(', '))
      }
      const both = (record: string): string => `${record} leave place:a, ${record} put place:b`
      expect(told.filter((each) => each !== '')).toEqual([both(id), both(second.id)])
    })

    test('[FE-27] snapshots go by scope, collection and id, and a place goes on where it was', async () => {
      const ids: string[] = []
      for (const place of ['b', 'a', 'a', 'b', 'a']) ids.push((await insert({ place })).id)
      const [whole, first] = await store.read(async (tx) => [
        await tx.snapshotPage(['place:b', 'place:a'], null, bounds),
        await tx.snapshotPage(['place:b', 'place:a'], null, { rows: 2, bytes: 1_000_000 }),
      ])
      const order = parsed(whole.changes).map(({ scope, record }) => JSON.stringify([scope, record]))
      expect(order).toEqual([...order].sort())
      const rest = await store.read((tx) => tx.snapshotPage(['place:b', 'place:a'], first.place, bounds))
      expect([...first.changes, ...rest.changes]).toEqual(whole.changes)
      expect([whole.changes.length, whole.place, rest.place]).toEqual([5, null, null])
    })

    test('[FE-28] the device that made a version is told that it has it', async () => {
      const n = await store.write((tx) =>
        tx.saveDevice({
          user: 'ann',
          device: newUuid(env),
          finals: [],
          acked: [],
          pending: null,
          firstSeenAt: now,
          lastSeenAt: now,
        }),
      )
      await insert({}, { maker: n })
      const opFor = async (device: number | null): Promise<unknown> =>
        parsed((await store.read((tx) => tx.feedPage(all, bounds, device))).changes)[0]?.['op']
      expect([await opFor(n), await opFor(n + 1), await opFor(null)]).toEqual(['have', 'put', 'put'])
    })

    test('[FE-30] an id that is no UUID is of no record, conflict or history', async () => {
      const { id } = await insert()
      for (const other of ['', 'x', id.toUpperCase(), `${id}\u0000`]) {
        const records = [{ collection: 'items', record: other }]
        const read = (tx: StoreReader): Promise<readonly unknown[]> =>
          Promise.all([
            tx.records('items', [other]),
            tx.recordText('items', other),
            tx.scopesOf('items', other),
            tx.history('items', other, { before: 1_000, limit: 10 }),
            tx.conflicts([other]),
            tx.openConflicts({ user: 'ann', device: newUuid(env) }, records),
            tx.openConflicts(null, records),
          ])
        const nothing = [[], null, [], [], [], [], []]
        expect(await store.read(read)).toEqual(nothing)
        expect(await store.write(read)).toEqual(nothing)
      }
    })

    test('[FE-29] outcomes are found by number, also inside a fold, and by key', async () => {
      const outcome = {
        hash: 'h',
        status: 'applied',
        version: 1,
        stoodOn: 7,
        serverUpdatedAt: now,
        code: null,
        body: '{"record":{"a":1},"error":{"code":"X"}}',
        exact: true,
        op: 'update',
        fields: ['name'],
      } as const
      const [first, second] = [newUuid(env), newUuid(env)]
      const folded = [newUuid(env), newUuid(env)]
      const times = { firstSeenAt: now, lastSeenAt: now }
      const ann = { user: 'ann', device: newUuid(env), finals: [], acked: [], pending: null, ...times }
      await store.write(async (tx) =>
        tx.writeOutcomes(
          await tx.saveDevice(ann),
          [
            { ...outcome, id: first, seq: 1, covers: '1-3', folded },
            { ...outcome, id: second, seq: 4, covers: '4', folded: [], body: null },
          ],
          now,
        ),
      )
      const found = await store.read((tx) => tx.outcomes(1, { seqs: [2], ids: [second] }))
      expect(found.map(({ id }) => id)).toEqual([first, second])
      expect(found[0]).toEqual({ ...outcome, id: first, seq: 1, covers: '1-3', folded })
      expect(await store.read((tx) => tx.outcomes(2, { seqs: [2], ids: [second] }))).toEqual([])
      const keysOf = async (user: string, ...ids: string[]): Promise<readonly string[]> =>
        (await store.read((tx) => tx.decidedKeys(user, ids))).map(({ id }) => id)
      expect(await keysOf('ann', second)).toEqual([second])
      expect(await keysOf('ann', first, ...folded)).toEqual([first])
      expect(await keysOf('ben', first, second, ...folded)).toEqual([])
      const told: unknown = JSON.parse(await store.read((tx) => tx.outcomesText(1, [[1, 4]])))
      expect(told).toEqual([
        {
          id: first,
          seq: 1,
          covers: '1-3',
          folded,
          status: 'applied',
          version: 1,
          serverUpdatedAt: now,
          error: { code: 'X' },
        },
        { id: second, seq: 4, covers: '4', status: 'applied', version: 1, serverUpdatedAt: now },
      ])
    })
  })
}
