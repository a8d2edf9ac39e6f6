import { counter, collection, defineSchema, newUuid, text, type Values } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isOnPostgres } from '../given-database.ts'
import { type GivenEngine, givenEngine, item, type RawMutation, startMs } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'

let given: GivenEngine

beforeEach(async () => {
  given = await givenEngine()
})

afterEach(() => given.close())

const otherId = (): string => newUuid(systemEnvironment())

const read: GivenEngine['rows'] = (sql) => given.rows(sql)

/** What keeps another program from writing items, and lets it read. */
const noWrites = { sqlite: 'BEGIN IMMEDIATE', postgres: 'BEGIN; LOCK TABLE items IN SHARE MODE' }

describe('one transaction', () => {
  test('[PU-1, PR-3] row, feed, outcome and audit of a mutation are there together', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item({ name: 'Laptop 14' }))
    expect(await ann.push(laptop)).toEqual([
      { id: laptop.id, status: 'applied', version: 1, serverUpdatedAt: '2026-11-20T10:00:00.000Z' },
    ])
    expect(await read('SELECT name, version FROM items')).toEqual([{ name: 'Laptop 14', version: 1 }])
    const feed = await read({
      sqlite: 'SELECT scope, record, position, op FROM holdfast_feed',
      postgres: `SELECT f.scope, f.record, rank() OVER (ORDER BY s.position) AS position, f.op
        FROM holdfast_feed f JOIN holdfast_stamps s ON s.tx = f.tx AND s.scope = f.scope`,
    })
    expect(feed).toEqual([{ scope: 'warehouse:1', record: laptop.record, position: 1, op: 'put' }])
    expect(await read('SELECT seq, id, status, version FROM holdfast_outcomes')).toEqual([
      { seq: 1, id: laptop.id, status: 'applied', version: 1 },
    ])
    expect(await read('SELECT op, user, device, version FROM holdfast_audit')).toEqual([
      { op: 'create', user: 'ann', device: ann.id, version: 1 },
    ])
  })

  test('[PU-1, PR-3] a batch that fails half way leaves nothing', async () => {
    const ann = given.device()
    // The outcomes are written last; without their table the transaction fails after everything else.
    await given.run('ALTER TABLE holdfast_outcomes RENAME TO elsewhere')
    const batch = [1, 2, 3].map(() => ann.create('items', item()))
    await expect(ann.push(...batch)).rejects.toThrow(
      isOnPostgres ? 'refused an operation' : 'holdfast_outcomes',
    )
    expect(await read('SELECT * FROM items')).toEqual([])
    expect(await read('SELECT * FROM holdfast_feed')).toEqual([])
    expect(await read('SELECT * FROM holdfast_audit')).toEqual([])
    const positions = await read({
      sqlite: 'SELECT 1 FROM holdfast_state WHERE counter > 0 OR engine IS NOT NULL',
      postgres: 'SELECT 1 FROM holdfast_transactions UNION ALL SELECT 1 FROM holdfast_stamps',
    })
    expect(positions).toEqual([])
    await given.run({
      sqlite: 'ALTER TABLE elsewhere RENAME TO holdfast_outcomes',
      postgres: 'ALTER TABLE holdfast_elsewhere RENAME TO outcomes',
    })
    expect((await ann.push(...batch)).map(({ status }) => status)).toEqual(['applied', 'applied', 'applied'])
  })

  test('[PU-2] a mutation sees what those before it in the batch did', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item())
    const renamed = ann.update(laptop, { name: 'Desk' }, { base: { name: 'Laptop' }, after: laptop.id })
    const sold = ann.update(laptop, {}, { increments: { stock: -2 }, after: renamed.id })
    const results = await ann.push(laptop, renamed, sold)
    expect(results.map(({ status, version }) => [status, version])).toEqual([
      ['applied', 1],
      ['applied', 2],
      ['applied', 3],
    ])
    expect(await read('SELECT name, stock, version FROM items')).toEqual([
      { name: 'Desk', stock: 8, version: 3 },
    ])
  })

  test('[PU-1] B01: a second writer waits, and the union of two pulls misses nothing', async () => {
    const [ann, ben, eve] = [given.device(), given.device('ben'), given.device('eve')]
    const release = await given.hold(noWrites)
    const first = ann.push(ann.create('items', item({ name: 'first' })))
    const second = ben.push(ben.create('items', item({ name: 'second' })))
    await eve.pull()
    expect(eve.rows.size).toBe(0)
    await release()
    await Promise.all([first, second])
    await eve.pull()
    expect(eve.values('items', 'name')).toEqual(['first', 'second'])
  })

  test.skipIf(isOnPostgres)(
    '[PU-1] a writer that waits too long for another process is told STORE_BUSY',
    async () => {
      await given.close()
      given = await givenEngine({ store: { busyTimeoutMs: 60 } })
      const ann = given.device()
      const release = await given.hold(noWrites)
      const laptop = ann.create('items', item())
      await expect(ann.push(laptop)).rejects.toMatchObject({ code: 'STORE_BUSY' })
      await release()
      expect(await ann.pushOne(laptop)).toMatchObject({ status: 'applied' })
    },
  )
})

describe('once', () => {
  test('[PU-4, PR-3] B17: a repeat of any prefix is answered as the first time and has no effect', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item({ stock: 0 }))
    const mutations = [
      laptop,
      ...Array.from({ length: 49 }, () => ann.update(laptop, {}, { increments: { stock: 1 } })),
    ]
    const first: unknown[] = []
    for (let k = 1; k <= mutations.length; k++) {
      // The answer to everything before was lost, so that the device offers it all again.
      const results = await ann.push(...mutations.slice(0, k))
      expect(results.slice(0, -1).map(({ duplicate, ...result }) => [duplicate, result])).toEqual(
        first.map((result) => [true, result]),
      )
      first.push(results.at(-1))
    }
    expect(await read('SELECT stock, version FROM items')).toEqual([{ stock: 49, version: 50 }])
    expect(await read('SELECT count(*) AS n FROM holdfast_audit')).toEqual([{ n: 50 }])
  })

  test('[PU-4] B18: counters are the sum of the increments, whatever is lost or repeated', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item({ stock: 0 }))
    await ann.push(laptop)
    let expected = 0
    let random = 7
    const next = (): number => (random = (random * 48_271) % 2_147_483_647) / 2_147_483_647
    for (let n = 0; n < 10; n++) {
      const device = given.device(`user-${n}`)
      for (let round = 0; round < 10; round++) {
        const batch = Array.from({ length: 5 }, () => {
          const amount = Math.floor(next() * 21) - 10
          expected += amount
          return device.update(laptop, {}, { increments: { stock: amount }, baseVersion: 1 })
        })
        await device.push(...batch)
        if (next() < 0.5) await device.push(...batch.slice(Math.floor(next() * 5)))
      }
    }
    expect(await read('SELECT stock FROM items')).toEqual([{ stock: expected }])
  })

  test('[PU-5] B20: a used number under another key is refused, and the old effect stays once', async () => {
    const ann = given.device()
    const first = ann.create('items', item({ name: 'first' }))
    await ann.push(first)
    const other = { ...ann.create('items', item({ name: 'other' })), seq: first.seq }
    const result = await ann.pushOne(other)
    expect([result.status, result.error?.code, result.version]).toEqual(['rejected', 'SEQ_REUSED', null])
    expect(await read('SELECT name FROM items')).toEqual([{ name: 'first' }])
    const renumbered = { ...other, seq: 3 }
    expect(await ann.pushOne(renumbered)).toMatchObject({ status: 'applied' })
  })

  test('[PU-5] B22: a known key with another body or number is refused and consumes nothing', async () => {
    const ann = given.device()
    const first = ann.create('items', item({ name: 'first' }))
    await ann.push(first)
    const body = await ann.pushOne({ ...first, changes: item({ name: 'other' }) })
    const number = await ann.pushOne({ ...first, seq: 9 })
    expect([body.error?.code, number.error?.code]).toEqual(['KEY_REUSED', 'KEY_REUSED'])
    expect(await read('SELECT finals FROM holdfast_devices')).toEqual([{ finals: '1' }])
    expect(await ann.pushOne(first)).toMatchObject({ status: 'applied', duplicate: true })
  })

  test('[PU-7] B22: somebody else who replays a key gets an outcome of his own and no trace of the first', async () => {
    const ann = given.device()
    const first = ann.create('items', item({ name: 'first' }))
    await ann.push(first)
    const eve = given.device('eve', ['warehouse:2'])
    const result = await eve.pushOne({ ...first, changes: item({ warehouse: '2' }) })
    expect(result).toMatchObject({ status: 'rejected', error: { code: 'RECORD_NOT_FOUND' } })
    expect(result.duplicate).toBeUndefined()
    expect(await read('SELECT name FROM items')).toEqual([{ name: 'first' }])
  })

  test('[PU-6] numbers that are final in part, or whose outcome is forgotten, are refused', async () => {
    const ann = given.device()
    const first = ann.create('items', item())
    await ann.push(first)
    const folded = { ...ann.create('items', item()), seq: 1, covers: '1-2' }
    expect((await ann.pushOne(folded)).error?.code).toBe('COVERS_OVERLAP')
    ann.ack = '1'
    await ann.push()
    given.advance(40 * 86_400_000)
    await given.engine.collectTombstones({ olderThanMs: 0 })
    expect((await ann.pushOne(first)).error?.code).toBe('OUTCOME_EXPIRED')
    expect(await read('SELECT finals FROM holdfast_devices')).toEqual([{ finals: '1' }])
  })

  test('[PU-5] of a transaction with a used number nothing is decided, also not what is wrong with another member', async () => {
    const ann = given.device()
    await ann.push(ann.create('items', item()))
    const group = newUuid(systemEnvironment())
    const used = { ...ann.create('items', item()), seq: 1, group }
    const empty = { ...ann.create('items', item()), seq: 3, group, changes: {} }
    const results = await ann.push(used, empty)
    expect(results.map(({ error }) => error?.code)).toEqual(['SEQ_REUSED', 'SEQ_REUSED'])
    expect(results.map(({ free }) => free)).toEqual([undefined, '3'])
    expect(await read('SELECT finals FROM holdfast_devices')).toEqual([{ finals: '1' }])
  })

  test('[PU-35] a refused number says whether it was the same mutation, and which numbers are free', async () => {
    const ann = given.device()
    const [first, second, third] = [1, 2, 3].map(() => ann.create('items', item()))
    const other = newUuid(systemEnvironment())
    await ann.pushOne({ ...first!, covers: '1-2', folded: [second!.id] })
    await ann.pushOne({ ...ann.create('items', item({ warehouse: '2' })), id: other, seq: 4 })
    const refused = async (mutation: RawMutation) => {
      const { error, known, free } = await ann.pushOne(mutation)
      const told = known?.map(({ id, covers, status, error: why }) => [id, covers, status, why?.code])
      return [error?.code, told, free]
    }
    const taken = [first?.id, '1', 'applied', undefined]
    expect(await refused(first!)).toEqual(['KEY_REUSED', [taken], undefined])
    expect(await refused(second!)).toEqual([
      'SEQ_REUSED',
      [[first?.id, '2', 'applied', undefined]],
      undefined,
    ])
    expect(await refused({ ...first!, covers: '1-3', folded: [second!.id, third!.id] })).toEqual([
      'KEY_REUSED',
      [[first?.id, '1-2', 'applied', undefined]],
      '3',
    ])
    expect(await refused({ ...third!, covers: '3-4', folded: [other] })).toEqual([
      'COVERS_OVERLAP',
      [[other, '4', 'rejected', 'SCOPE_DENIED']],
      '3',
    ])
    expect(await refused({ ...third!, covers: '3-4', folded: [newUuid(systemEnvironment())] })).toEqual([
      'COVERS_OVERLAP',
      undefined,
      '3',
    ])
    expect(await read('SELECT finals FROM holdfast_devices')).toEqual([{ finals: '1-2,4' }])
  })

  test('[PU-44] what stands on a part of a refused fold that nobody decided does not overtake it', async () => {
    const [phone, copy] = [given.device(), given.device()]
    const created = phone.create('items', item())
    const { version } = await phone.pushOne(created)
    const edit = (payload: Partial<RawMutation>): RawMutation =>
      phone.update(created, {}, { baseVersion: version, ...payload })
    const count = edit({ increments: { stock: 1 } })
    const add = edit({ additions: { tags: ['heavy'] } })
    const remove = edit({ removals: { tags: ['heavy'] } })
    const other = phone.create('items', item())
    // The number of the count is that of another mutation, which a copy of the disk has sent.
    await phone.pushOne({ ...phone.create('items', item()), seq: count.seq })
    const fold = {
      ...count,
      additions: { tags: ['heavy'] },
      covers: `${count.seq}-${add.seq}`,
      folded: [add.id],
    }
    const results = await phone.push(fold, remove, other)
    expect(results.map(({ status, error }) => [status, error?.code])).toEqual([
      ['rejected', 'COVERS_OVERLAP'],
      ['retry', 'DEPENDENCY_FAILED'],
      ['applied', undefined],
    ])
    expect((await phone.pushOne(add)).status).toBe('applied')
    expect((await phone.pushOne(remove)).status).toBe('applied')
    // What was decided under another name is no reason to wait.
    const again = phone.update(created, { name: 'Nut' }, { baseVersion: version })
    await copy.pushOne({ ...again, seq: 1 })
    const behind = phone.update(
      created,
      {},
      { increments: { stock: 2 }, baseVersion: version, after: again.id },
    )
    const told = await phone.push(again, behind)
    expect(told.map(({ status, error }) => [status, error?.code])).toEqual([
      ['rejected', 'KEY_REUSED'],
      ['applied', undefined],
    ])
  })

  test('[PU-35] a mutation that a copy of the device sent under another number is known, not free', async () => {
    const ann = given.device()
    const first = ann.create('items', item())
    await ann.pushOne({ ...first, seq: 3 })
    const { error, known, free } = await ann.pushOne({ ...first, seq: 7 })
    expect([error?.code, free]).toEqual(['KEY_REUSED', undefined])
    expect(known).toMatchObject([{ id: first.id, covers: '7', status: 'applied' }])
  })

  test('[PU-38] what another device of the same user has sent is known, alone and in a fold, and has no second effect', async () => {
    const [phone, copy] = [given.device(), given.device()]
    const [first, second, third] = [1, 2, 3].map(() => phone.create('items', item()))
    await phone.pushOne({ ...first!, covers: '1-2', folded: [second!.id] })
    await phone.pushOne(third!)
    phone.ack = '1-3'
    await phone.push()
    const told = async (mutation: RawMutation) => {
      const { error, known, free } = await copy.pushOne(mutation)
      return [error?.code, known?.map(({ id, covers, status }) => [id, covers, status]), free]
    }
    expect(await told({ ...first!, seq: 11 })).toEqual([
      'KEY_REUSED',
      [[first!.id, '11', 'applied']],
      undefined,
    ])
    expect(await told({ ...second!, seq: 12 })).toEqual([
      'KEY_REUSED',
      [[first!.id, '12', 'applied']],
      undefined,
    ])
    const fresh = copy.create('items', item())
    expect(await told({ ...fresh, seq: 13, covers: '13-14', folded: [third!.id] })).toEqual([
      'KEY_REUSED',
      [[third!.id, '14', 'applied']],
      '13',
    ])
    expect(await told({ ...fresh, seq: 13 })).toEqual([undefined, undefined, undefined])
    expect(await read('SELECT count(*) AS n FROM holdfast_audit')).toEqual([{ n: 3 }])
  })

  test('[PU-38] a key is forgotten with its outcome, also one that was folded', async () => {
    const ann = given.device()
    const [first, second] = [1, 2].map(() => ann.create('items', item()))
    await ann.pushOne({ ...first!, covers: '1-2', folded: [second!.id] })
    const folded = {
      sqlite: 'SELECT id FROM holdfast_folded',
      postgres: `SELECT id FROM holdfast_decided_keys WHERE id <> '${first!.id}'`,
    }
    expect(await read(folded)).toEqual([{ id: second!.id }])
    ann.ack = '1-2'
    await ann.push()
    given.advance(40 * 86_400_000)
    await given.engine.collectTombstones({ olderThanMs: 0 })
    expect(await read(folded)).toEqual([])
  })

  test('[PU-23] after the acknowledgement the verdict of a conflict still names it', async () => {
    const [ann, ben] = [given.device(), given.device('ben')]
    const laptop = ann.create('items', item({ name: 'base' }))
    await ann.push(laptop)
    await ben.push(ben.update(laptop, { name: 'ben' }, { base: { name: 'base' }, baseVersion: 1 }))
    const late = ann.update(laptop, { name: 'ann' }, { base: { name: 'base' }, baseVersion: 1 })
    const { conflict } = await ann.pushOne(late)
    ann.ack = '2'
    await ann.push()
    expect(await ann.pushOne(late)).toMatchObject({
      status: 'conflict',
      duplicate: true,
      conflict: { id: conflict?.id, fields: [], mine: null },
    })
  })

  test('[PU-6] a number inside a fold that was decided is known', async () => {
    const ann = given.device()
    const folded = { ...ann.create('items', item()), covers: '1-3' }
    expect(await ann.pushOne(folded)).toMatchObject({ status: 'applied' })
    expect((await ann.pushOne({ ...ann.create('items', item()), seq: 2 })).error?.code).toBe('SEQ_REUSED')
    expect(await read('SELECT finals FROM holdfast_devices')).toEqual([{ finals: '1-3' }])
  })

  test('[PU-23] after the acknowledgement only the verdict of an outcome is left', async () => {
    const ann = given.device()
    const bad = ann.create('items', item({ warehouse: '2' }))
    await ann.push(bad)
    expect((await ann.page()).outcomes).toMatchObject([
      { id: bad.id, status: 'rejected', error: { code: 'SCOPE_DENIED' } },
    ])
    ann.ack = '1'
    await ann.push()
    expect((await ann.page()).outcomes).toEqual([])
    expect(await read('SELECT status, body FROM holdfast_outcomes')).toEqual([
      { status: 'rejected', body: null },
    ])
    expect(await ann.pushOne(bad)).toMatchObject({
      status: 'rejected',
      duplicate: true,
      error: { code: 'SCOPE_DENIED' },
    })
  })

  test('[PU-34] so is the cursor of a copy; of one that nobody can read the next pull decides', async () => {
    const ann = given.device()
    await ann.pull()
    const mutations = [ann.create('items', item())]
    const { cursor: since } = ann
    const shape = JSON.parse(Buffer.from(String(since), 'base64url').toString('utf8')) as object
    const other = Buffer.from(JSON.stringify({ ...shape, p: 99 })).toString('base64url')
    const pushed = (cursor: string | undefined): Promise<unknown> =>
      given.engine.push(ann.caller, { ack: '', mutations, ...(cursor && { since: cursor }) })
    await expect(pushed(other)).rejects.toMatchObject({ code: 'EPOCH_CHANGED', retry: 'resync' })
    for (const cursor of [since, 'nobody can read this']) {
      expect(await pushed(cursor)).toMatchObject({ results: [{ status: 'applied' }] })
    }
  })

  test('[PU-34] a number the device holds to be final and the server does not know is of a lost history', async () => {
    const ann = given.device()
    await ann.push(ann.create('items', item()))
    const mutations = [ann.create('items', item())]
    const refused = { code: 'EPOCH_CHANGED', retry: 'resync' }
    for (const request of [
      { ack: '', answered: '1-2', mutations },
      { ack: '1,7', mutations },
    ])
      await expect(given.engine.push(ann.caller, request)).rejects.toMatchObject(refused)
    const stranger = given.device()
    await expect(
      given.engine.push(stranger.caller, {
        ack: '',
        answered: '1',
        mutations: [stranger.create('items', item())],
      }),
    ).rejects.toMatchObject(refused)
    expect(await read('SELECT finals, acked FROM holdfast_devices')).toEqual([{ finals: '1', acked: '' }])
    const known = { ack: '1', answered: '1', mutations }
    expect((await given.engine.push(ann.caller, known)).results).toMatchObject([{ status: 'applied' }])
  })

  test('[PU-23] a device that only pulls acknowledges with the pull', async () => {
    const ann = given.device()
    await ann.push(ann.create('items', item()))
    expect((await ann.page()).outcomes).toHaveLength(1)
    expect((await ann.page({ ack: '1' })).outcomes).toEqual([])
    expect((await ann.page()).outcomes).toEqual([])
  })
})

/** Each makes one mutation of a batch impossible for ever. */
const poisons: readonly (readonly [code: string, poison: (good: Values) => Values])[] = [
  ['MUTATION_INVALID', () => ({ op: 'explode' })],
  ['MUTATION_INVALID', () => ({ collection: 'nowhere' })],
  ['MUTATION_INVALID', () => ({ record: 'not-a-uuid' })],
  ['MUTATION_INVALID', () => ({ at: 'yesterday' })],
  ['MUTATION_INVALID', () => ({ surprise: 1 })],
  ['FIELD_UNKNOWN', () => ({ changes: item({ colour: 'red' }) })],
  ['VALUE_INVALID', () => ({ changes: item({ price: 'cheap' }) })],
  ['VALUE_INVALID', () => ({ changes: item({ name: 7 }) })],
  ['VALUE_TOO_LARGE', () => ({ changes: item({ name: 'x'.repeat(100_001) }) })],
  ['SCOPE_DENIED', () => ({ changes: item({ warehouse: '9' }) })],
  ['RECORD_NOT_FOUND', () => ({ op: 'update', changes: { name: 'x' }, record: otherId() })],
  [
    'REFERENCE_MISSING',
    () => ({ collection: 'orders', changes: { warehouse: '1', item: otherId(), next: null } }),
  ],
  ['CONFLICT_UNKNOWN', () => ({ resolves: otherId() })],
  ['UNIQUE_VIOLATION', () => ({ changes: item({ sku: 'taken' }) })],
  ['CONSTRAINT_FAILED', () => ({ changes: item({ name: 'forbidden by the host' }) })],
]

describe('one bad mutation', () => {
  test.each(poisons)(
    '[PU-3, PU-22] B23: %s in the middle of 100: 99 are applied, one is rejected for good',
    async (code, poison) => {
      const ann = given.device()
      await given.run({
        sqlite: `CREATE TRIGGER host BEFORE INSERT ON items WHEN NEW.name LIKE 'forbidden%' BEGIN SELECT RAISE(ABORT, 'host says no'); END`,
        postgres: `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'host says no'; END $$;
          CREATE TRIGGER host BEFORE INSERT ON items FOR EACH ROW WHEN (NEW.name LIKE 'forbidden%') EXECUTE FUNCTION refuse()`,
      })
      const batch = Array.from({ length: 100 }, (_, index) =>
        ann.create('items', item(index === 0 ? { sku: 'taken' } : {})),
      )
      const bad = { ...batch[50], ...poison(batch[50]?.changes as Values) }
      const results = await ann.push(
        ...batch.map((good, index) => (index === 50 ? { ...good, ...bad } : good)),
      )
      expect(results.filter(({ status }) => status === 'applied')).toHaveLength(99)
      expect(results[50]).toMatchObject({
        status: 'rejected',
        version: null,
        error: { code, retry: 'never' },
      })
      expect(await read('SELECT count(*) AS n FROM items')).toEqual([{ n: 99 }])
      expect(await read('SELECT finals FROM holdfast_devices')).toEqual([{ finals: '1-100' }])
      const again = await ann.push({ ...batch[50], ...bad } as (typeof batch)[0] & object)
      expect(again).toMatchObject([{ status: 'rejected', duplicate: true, error: { code } }])
    },
  )

  test('[PU-3] a mutation without a readable number consumes nothing', async () => {
    const ann = given.device()
    const results = await ann.push({ ...ann.create('items', item()), seq: -1 }, ann.create('items', item()))
    expect(results.map(({ status, error }) => [status, error?.code])).toEqual([
      ['rejected', 'MUTATION_INVALID'],
      ['applied', undefined],
    ])
    expect(await read('SELECT finals FROM holdfast_devices')).toEqual([{ finals: '2' }])
  })

  test('[PU-22] the constraint that refused is named, also one that fails only at the commit', async () => {
    await given.run(`CREATE UNIQUE INDEX host_names ON items (name);
      CREATE TABLE host_parents (id TEXT PRIMARY KEY);
      CREATE TABLE host_lines (item TEXT REFERENCES host_parents (id) DEFERRABLE INITIALLY DEFERRED)`)
    await given.run({
      sqlite: `CREATE TRIGGER host_line AFTER INSERT ON items WHEN NEW.name = 'orphan' BEGIN INSERT INTO host_lines VALUES ('nobody'); END`,
      postgres: `CREATE FUNCTION add_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO host_lines VALUES ('nobody'); RETURN NULL; END $$;
        CREATE TRIGGER host_line AFTER INSERT ON items FOR EACH ROW WHEN (NEW.name = 'orphan') EXECUTE FUNCTION add_line()`,
    })
    const [unique, foreign] = isOnPostgres
      ? ['host_names', 'host_lines_item_fkey']
      : ['UNIQUE constraint failed: items.name', 'FOREIGN KEY constraint failed']
    const ann = given.device()
    const results = await ann.push(
      ...['a', 'a', 'orphan', 'b'].map((name) => ann.create('items', item({ name }))),
    )
    expect(results.map(({ status, error }) => [status, error?.message])).toEqual([
      ['applied', undefined],
      ['rejected', unique],
      ['rejected', foreign],
      ['applied', undefined],
    ])
  })

  test('[PU-22] what a trigger of the host makes of a row is in the answer and in the feed', async () => {
    await given.run({
      sqlite: `CREATE TRIGGER host AFTER INSERT ON items BEGIN UPDATE items SET name = upper(NEW.name) WHERE id = NEW.id; END`,
      postgres: `CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          UPDATE items SET name = upper(NEW.name) WHERE id = NEW.id; RETURN NULL; END $$;
        CREATE TRIGGER host AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION shout()`,
    })
    const [ann, ben] = [given.device(), given.device('ben')]
    const result = await ann.pushOne(ann.create('items', item({ name: 'laptop' })))
    expect(result).toMatchObject({ status: 'applied', record: { name: 'LAPTOP' } })
    await Promise.all([ann.pull(), ben.pull()])
    expect([ann.values('items', 'name'), ben.values('items', 'name')]).toEqual([['LAPTOP'], ['LAPTOP']])
    expect(result.version).toBe((await read('SELECT version FROM items'))[0]?.['version'])
  })
})

describe('the request', () => {
  test('[PU-26] B25: without rights nothing is consumed, and afterwards everything is applied once', async () => {
    const ann = given.device()
    const batch = Array.from({ length: 5 }, () => ann.create('items', item()))
    const anonymous = { ...ann.caller, device: null }
    await expect(given.engine.push(anonymous, { ack: '', mutations: batch })).rejects.toMatchObject({
      code: 'DEVICE_REQUIRED',
    })
    const old = { ...ann.caller, schemaVersion: 2 }
    await expect(given.engine.push(old, { ack: '', mutations: batch })).rejects.toMatchObject({
      code: 'SCHEMA_AHEAD',
    })
    expect(await read('SELECT * FROM holdfast_devices')).toEqual([])
    expect((await ann.push(...batch)).map(({ status, duplicate }) => [status, duplicate])).toEqual(
      batch.map(() => ['applied', undefined]),
    )
  })

  test('[PU-26] a batch over the limit is refused whole', async () => {
    await given.close()
    given = await givenEngine({ limits: { pushBatchMax: 2 } })
    const ann = given.device()
    const batch = [1, 2, 3].map(() => ann.create('items', item()))
    await expect(ann.push(...batch)).rejects.toMatchObject({ code: 'REQUEST_TOO_LARGE' })
    expect(await ann.push(...batch.slice(0, 2))).toHaveLength(2)
  })

  test('[PU-26] a schema that is no longer served is refused, an older one that is served is filled in', async () => {
    const schema = defineSchema({
      version: 3,
      collections: {
        notes: collection({ fields: { body: text(), mood: text({ default: 'calm' }), reads: counter() } }),
      },
    })
    await given.close()
    given = await givenEngine({ schema, oldestSchema: 2 })
    const ann = given.device()
    const note = ann.create('notes', { body: 'hello' })
    await expect(
      given.engine.push({ ...ann.caller, schemaVersion: 1 }, { ack: '', mutations: [note] }),
    ).rejects.toMatchObject({ code: 'SCHEMA_TOO_OLD' })
    const { results } = await given.engine.push(
      { ...ann.caller, schemaVersion: 2 },
      { ack: '', mutations: [{ ...note, schema: 2 }] },
    )
    expect(results).toMatchObject([{ status: 'applied', record: { body: 'hello', mood: 'calm', reads: 0 } }])
  })
})

describe('answers', () => {
  test('[PU-24] the record is left out when its author can build it, and sent when others had a hand in it', async () => {
    const [ann, ben] = [given.device(), given.device('ben')]
    const laptop = ann.create('items', item())
    expect((await ann.pushOne(laptop)).record).toBeUndefined()
    await ben.push(ben.update(laptop, {}, { increments: { stock: 5 }, baseVersion: 1 }))
    const result = await ann.pushOne(
      ann.update(laptop, { name: 'Desk' }, { base: { name: 'Laptop' }, baseVersion: 1 }),
    )
    expect(result).toMatchObject({
      status: 'applied',
      record: { id: laptop.record, name: 'Desk', stock: 15, version: 3, deleted_at: null },
    })
  })

  test('[PU-25] B15: times far ahead are stored as the edge of what is believed', async () => {
    const ann = given.device()
    const future = ann.create('items', item(), { at: `2036-11-20T10:00:00.000Z-0000-${ann.id}` })
    expect(await ann.pushOne(future)).toMatchObject({
      status: 'applied',
      record: { updated_at: '2026-11-20T10:05:00.000Z', created_at: '2026-11-20T10:05:00.000Z' },
    })
    const skewed = { ...ann.caller, deviceNowMs: startMs + 86_400_000 }
    const shifted = ann.create('items', item(), { at: `2026-11-21T09:00:00.000Z-0000-${ann.id}` })
    const { results } = await given.engine.push(skewed, { ack: '', mutations: [shifted] })
    expect(results).toMatchObject([
      { record: { updated_at: '2026-11-20T09:00:00.000Z', server_updated_at: '2026-11-20T10:00:00.000Z' } },
    ])
  })
})
