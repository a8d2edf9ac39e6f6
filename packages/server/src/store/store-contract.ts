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
import type { RecordWrite, Store, StoreReader } from './store.ts'

const schema: Schema = defineSchema({
  version: 1,
  collections: {
    items: collection({ fields: { place: text(), name: text(), stock: counter() }, scope: 'place:{place}' }),
    notes: collection({ fields: { body: text() }, deletes: 'hard' }),
  },
})

/** A store to test: `create` makes a new, empty one that nobody has opened; `destroy` removes it. */
export interface StoreUnderTest {
  readonly create: () => Promise<Store>
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
      store = await create()
      await store.open({ schema, env })
    })

    afterEach(() => destroy(store))

    /** One item in a scope, in a transaction of its own. */
    async function insert(
      values: Partial<Record<'place' | 'name', string>> = {},
      more: Partial<RecordWrite> = {},
    ): Promise<RecordWrite> {
      return store.write(async (tx) => {
        const version = await tx.reserve(1, now)
        const record = insertOf({ place: 'a', name: 'n', stock: 0, ...values }, version, more)
        await tx.writeRecords([record])
        return record
      })
    }

    const parsed = (texts: readonly string[]): readonly Record<string, unknown>[] =>
      texts.map((each) => JSON.parse(each) as Record<string, unknown>)
    const from = (after: number, ...scopes: readonly string[]): readonly { scope: string; after: number }[] =>
      scopes.map((scope) => ({ scope, after }))

    test('[FE-21] a transaction that throws leaves nothing, and the next one goes on', async () => {
      const failed = store.write(async (tx) => {
        await tx.writeRecords([insertOf({ place: 'a', name: 'lost', stock: 0 }, await tx.reserve(1, now))])
        throw new Error('given up')
      })
      await expect(failed).rejects.toThrow('given up')
      expect(await store.read((tx) => tx.state())).toMatchObject({ head: 0, horizon: 0 })
      expect(await insert()).toMatchObject({ version: 1 })
    })

    test('[FE-22] writers wait for each other, in order of arrival', async () => {
      const order: string[] = []
      const writer = (who: string): Promise<number> =>
        store.write(async (tx) => {
          order.push(`${who} begins`)
          const version = await tx.reserve(1, now)
          await Promise.resolve()
          order.push(`${who} ends`)
          return version
        })
      expect(await Promise.all([writer('first'), writer('second')])).toEqual([1, 2])
      expect(order).toEqual(['first begins', 'first ends', 'second begins', 'second ends'])
    })

    test('[FE-23] a reader sees one moment, and never half a transaction', async () => {
      await insert()
      const seen = async (tx: StoreReader): Promise<readonly number[]> => [
        (await tx.state()).head,
        (await tx.feedPage({ after: 0 }, bounds, null)).changes.length,
      ]
      const reading = store.read(async (tx) => {
        const before = await seen(tx)
        await Promise.resolve()
        return [before, await seen(tx)]
      })
      await Promise.all([reading, insert()])
      const [first, second] = await reading
      expect(second).toEqual(first)
      expect(await store.read(seen)).toEqual([2, 2])
    })

    test('[FE-24] a record is read as it was written, and as a change in its scope', async () => {
      const written = await insert({ name: 'crate' })
      const [read] = await store.read((tx) => tx.records('items', [written.id, newUuid(env)]))
      expect(read).toEqual({
        id: written.id,
        version: 1,
        values: { place: 'a', name: 'crate', stock: 0 },
        createdAt: now,
        updatedAt: now,
        serverUpdatedAt: now,
        deletedAt: null,
        clocks: {},
        isInTable: true,
      })
      const page = await store.read((tx) => tx.feedPage(from(0, 'place:a', 'place:b'), bounds, null))
      expect(parsed(page.changes)).toEqual([
        {
          collection: 'items',
          record: written.id,
          op: 'put',
          scope: 'place:a',
          version: 1,
          serverUpdatedAt: now,
          data: { place: 'a', name: 'crate', stock: 0, created_at: now, updated_at: now },
        },
      ])
      expect([page.position, page.more]).toEqual([1, false])
    })

    test('[FE-25] a record has one entry per scope: put where it is, leave where it was, delete when it is gone', async () => {
      const { id } = await insert()
      const moved = await insert(
        { place: 'b' },
        { id, write: 'update', changed: new Set(['place']), isInTable: true },
      )
      const ops = async (): Promise<readonly unknown[]> => {
        const page = await store.read((tx) => tx.feedPage(from(0, 'place:a', 'place:b'), bounds, null))
        return parsed(page.changes).map(({ scope, op, version }) => [scope, op, version])
      }
      expect(await ops()).toEqual([
        ['place:a', 'leave', 2],
        ['place:b', 'put', 2],
      ])
      await insert(
        { place: 'b' },
        { id, write: 'update', changed: new Set(['deleted_at']), deletedAt: now, isInTable: true },
      )
      expect(await ops()).toEqual([
        ['place:a', 'leave', 2],
        ['place:b', 'delete', 3],
      ])
      expect(moved.version).toBe(2)
      expect(await store.read((tx) => tx.scopesOf('items', id))).toEqual(['place:b'])
    })

    test('[FE-25] a record that is deleted for good leaves its values and a tombstone', async () => {
      const note: Partial<RecordWrite> = { collection: 'notes', values: { body: 'hello' } }
      const { id } = await insert({}, note)
      await insert({}, { ...note, id, write: 'delete', deletedAt: now, isInTable: true })
      expect(await store.read((tx) => tx.records('notes', [id]))).toMatchObject([
        { id, version: 2, values: { body: 'hello' }, deletedAt: now, isInTable: false },
      ])
      const page = await store.read((tx) => tx.feedPage(from(0, 'global'), bounds, null))
      expect(parsed(page.changes)).toMatchObject([{ op: 'delete', record: id, version: 2 }])
      await insert({}, { ...note, id })
      expect(await store.read((tx) => tx.records('notes', [id]))).toMatchObject([
        { version: 3, deletedAt: null, isInTable: true },
      ])
    })

    test('[FE-26] pages hold so many rows or bytes, in order of position, and say whether more is there', async () => {
      for (const place of ['a', 'b', 'a', 'c', 'b']) await insert({ place, name: 'x'.repeat(1_000) })
      const page = (after: number, rows: number, bytes = 1_000_000) =>
        store.read((tx) => tx.feedPage(from(after, 'place:a', 'place:b'), { rows, bytes }, null))
      const first = await page(0, 3)
      expect([parsed(first.changes).map(({ version }) => version), first.position, first.more]).toEqual([
        [1, 2, 3],
        3,
        true,
      ])
      const second = await page(3, 3)
      expect([parsed(second.changes).map(({ version }) => version), second.position, second.more]).toEqual([
        [5],
        5,
        false,
      ])
      expect(await page(0, 10, 1_500)).toMatchObject({ position: 2, more: true })
      const everything = await store.read((tx) =>
        tx.feedPage({ after: 1 }, { rows: 2, bytes: 1_000_000 }, null),
      )
      expect(parsed(everything.changes).map(({ scope, version }) => [scope, version])).toEqual([
        ['*', 2],
        ['*', 3],
      ])
    })

    test('[FE-27] snapshots go by scope, collection and id, and a place goes on where it was', async () => {
      const ids: string[] = []
      for (const place of ['b', 'a', 'a', 'b', 'a']) ids.push((await insert({ place })).id)
      const [all, first] = await store.read(async (tx) => [
        await tx.snapshotPage(['place:b', 'place:a'], null, bounds),
        await tx.snapshotPage(['place:b', 'place:a'], null, { rows: 2, bytes: 1_000_000 }),
      ])
      const order = parsed(all.changes).map(({ scope, record }) => JSON.stringify([scope, record]))
      expect(order).toEqual([...order].sort())
      const rest = await store.read((tx) => tx.snapshotPage(['place:b', 'place:a'], first.place, bounds))
      expect([...first.changes, ...rest.changes]).toEqual(all.changes)
      expect([all.changes.length, all.place, rest.place]).toEqual([5, null, null])
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
        parsed((await store.read((tx) => tx.feedPage({ after: 0 }, bounds, device))).changes)[0]?.['op']
      expect([await opFor(n), await opFor(n + 1), await opFor(null)]).toEqual(['have', 'put', 'put'])
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
      await store.write((tx) =>
        tx.writeOutcomes(
          1,
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
      const times = { firstSeenAt: now, lastSeenAt: now }
      const ann = { user: 'ann', device: newUuid(env), finals: [], acked: [], pending: null, ...times }
      expect(await store.write((tx) => tx.saveDevice(ann))).toBe(1)
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
