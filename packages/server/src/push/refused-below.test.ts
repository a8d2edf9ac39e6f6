import { afterEach, beforeEach, expect, test } from 'vitest'
import { type GivenEngine, givenEngine, item, type RawMutation } from '../given-engine.ts'
import { pair, pairs } from './given-pairs.ts'

let given: GivenEngine

beforeEach(async () => {
  given = await givenEngine()
})

afterEach(() => given.close())

/** A refused name, a price behind it, and a name behind that. */
async function givenChain(): Promise<{
  readonly ann: ReturnType<GivenEngine['device']>
  readonly chain: readonly RawMutation[]
}> {
  const ann = given.device()
  const laptop = ann.create('items', item())
  await ann.push(laptop)
  const seen = { baseVersion: 1 }
  const bad = ann.update(laptop, { name: 'x'.repeat(100_001) }, { base: { name: 'Laptop' }, ...seen })
  const between = ann.update(laptop, { price: '1.00' }, { base: { price: '899.00' }, ...seen, after: bad.id })
  const stacked = ann.update(laptop, { name: 'y' }, { base: { name: 'x' }, ...seen, after: between.id })
  return { ann, chain: [bad, between, stacked] }
}

test('[PU-13] what stands on a refused mutation falls with it where the answers to that and to what is between were lost', async () => {
  const { ann, chain } = await givenChain()
  await ann.push(...chain.slice(0, 2))
  const results = await ann.push(...chain)
  expect(results.map(({ error, status }) => error?.code ?? status)).toEqual([
    'VALUE_TOO_LARGE',
    'applied',
    'DEPENDENCY_FAILED',
  ])
})

test('[PU-13] [PU-22] also where a constraint of the host takes the batch apart', async () => {
  const { ann, chain } = await givenChain()
  await given.run({
    sqlite: `CREATE TRIGGER host BEFORE INSERT ON items WHEN NEW.name = 'no' BEGIN SELECT RAISE(ABORT, 'host says no'); END`,
    postgres: `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'host says no'; END $$;
      CREATE TRIGGER host BEFORE INSERT ON items FOR EACH ROW WHEN (NEW.name = 'no') EXECUTE FUNCTION refuse()`,
  })
  const [bad, between, stacked] = chain
  const results = await ann.push(
    bad!,
    between!,
    ann.create('items', item({ sku: 'b', name: 'no' })),
    stacked!,
  )
  expect(results.map(({ error, status }) => error?.code ?? status)).toEqual([
    'VALUE_TOO_LARGE',
    'applied',
    'CONSTRAINT_FAILED',
    'DEPENDENCY_FAILED',
  ])
})

test('[PU-37] nor does a mutation that cannot be read stand between an author and their own edits', async () => {
  await given.close()
  given = await givenEngine(pairs({ strict: true }))
  const ann = given.device()
  const row = ann.create('pairs', pair())
  const first = ann.update(row, { left: 'one' }, { base: { left: 'l' }, after: row.id })
  await ann.push(row, first)
  const refused = ann.update(row, { right: 7 }, { base: { right: 'r' }, baseVersion: 1, after: first.id })
  const last = ann.update(row, { left: 'two' }, { base: { left: 'one' }, baseVersion: 1, after: refused.id })
  expect(await ann.push(refused, last)).toMatchObject([{ status: 'rejected' }, { status: 'applied' }])
})
