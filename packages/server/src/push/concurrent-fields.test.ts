import { newUuid } from '@holdfast/core'
import { afterEach, expect, test } from 'vitest'
import { type GivenEngine, givenEngine } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'
import { pair, pairs } from './given-pairs.ts'

let given: GivenEngine

const refusesRows = {
  sqlite: `CREATE TRIGGER host BEFORE INSERT ON pairs WHEN NEW."left" = 'no' BEGIN SELECT RAISE(ABORT, 'host says no'); END`,
  postgres: `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'host says no'; END $$;
    CREATE TRIGGER host BEFORE INSERT ON pairs FOR EACH ROW WHEN (NEW."left" = 'no') EXECUTE FUNCTION refuse()`,
}

afterEach(() => given.close())

test.each([
  { strict: false, op: 'delete', by: 'ann', status: 'applied' },
  { strict: false, op: 'delete', by: 'ben', status: 'conflict' },
  { strict: true, op: 'update', by: 'ann', status: 'applied' },
  { strict: true, op: 'update', by: 'ben', status: 'conflict' },
] as const)(
  '[PU-16] [PU-37] an edit and then a $op of one record in one transaction, behind a refusal and what $by wrote: $status',
  async ({ strict, op, by, status }) => {
    given = await givenEngine({ ...pairs({ strict }), authorize: ({ after }) => after?.['right'] !== 'no' })
    const [ann, other] = [given.device(), given.device(by)]
    const row = ann.create('pairs', pair())
    await ann.push(row)
    const first = ann.update(row, { left: 'one' }, { base: { left: 'l' }, baseVersion: 1, after: row.id })
    await ann.push(first)
    const refused = ann.update(
      row,
      { right: 'no' },
      { base: { right: 'r' }, baseVersion: 1, after: first.id },
    )
    expect(await ann.pushOne(refused)).toMatchObject({ status: 'rejected' })
    if (by !== 'ann') {
      const theirs = other.update(row, { right: 'ben' }, { base: { right: 'r' }, baseVersion: 2 })
      expect(await other.pushOne(theirs)).toMatchObject({ status: 'applied' })
    }
    const group = newUuid(systemEnvironment())
    const again = { baseVersion: 1, group }
    const edit = ann.update(row, { left: 'two' }, { base: { left: 'one' }, after: refused.id, ...again })
    const last =
      op === 'delete'
        ? ann.delete(row, { after: edit.id, ...again })
        : ann.update(row, { left: 'three' }, { base: { left: 'two' }, after: edit.id, ...again })
    expect(await ann.push(edit, last)).toMatchObject([{ status }, { status }])
  },
)

test.each([
  { what: 'goes before it', status: 'applied' },
  { what: 'goes before it in its own transaction', isGroup: true, status: 'applied' },
  { what: 'was taken already, and goes before it once more', isTaken: true, status: 'applied' },
  { what: 'goes before it in another part of the batch', isApart: true, status: 'applied' },
  { what: 'goes before it, and so did one of somebody else', isAmongOthers: true, status: 'conflict' },
  { what: 'goes before it under a later number', isLater: true, status: 'conflict' },
  { what: 'was taken with more, which a copy wrote behind it', isFolded: true, status: 'conflict' },
  { what: 'is not in the batch', isTaken: true, isAlone: true, status: 'conflict' },
] as const)(
  '[PU-16] of a deletion that stands on an edit of its author which overtook an earlier one, where that $what: $status',
  async ({ status, ...is }) => {
    given = await givenEngine(pairs({}))
    const [ann, ben] = [given.device(), given.device('ben')]
    const row = ann.create('pairs', pair())
    await ann.push(row)
    const base = { baseVersion: 1, after: row.id }
    const more = { group: 'isGroup' in is ? newUuid(systemEnvironment()) : null }
    const write = () => ann.update(row, { left: 'waited' }, { base: { left: 'l' }, ...base, ...more })
    const early = write()
    const overtook = ann.update(row, { right: 'went ahead' }, { base: { right: 'r' }, ...base })
    await ann.push(overtook)
    const deleted = ann.delete(row, { baseVersion: 1, after: overtook.id, ...more })
    const waited = 'isLater' in is ? write() : early
    if ('isAmongOthers' in is)
      await ben.push(ben.update(row, { right: 'of ben' }, { base: { right: 'went ahead' }, baseVersion: 2 }))
    if ('isTaken' in is) await ann.push(waited)
    if ('isFolded' in is) {
      const covers = `${early.seq},${deleted.seq + 1}`
      const changes = { left: 'of the copy' }
      await ann.push({ ...early, changes, covers, folded: [newUuid(systemEnvironment())] })
    }
    if ('isApart' in is) await given.run(refusesRows)
    const apart = 'isApart' in is ? [ann.create('pairs', pair({ left: 'no' }))] : []
    const batch = 'isAlone' in is ? [deleted] : [waited, ...apart, deleted]
    expect((await ann.push(...batch)).at(-1)).toMatchObject({ status })
  },
)

test.each([
  { op: 'delete', by: 'nobody', status: 'applied' },
  { op: 'delete', by: 'ben', status: 'conflict' },
  { op: 'update', by: 'nobody', status: 'applied' },
  { op: 'update', by: 'ben', status: 'conflict' },
] as const)(
  '[PU-16] $op of what its author had deleted and made anew, in which $by had written since: $status',
  async ({ op, by, status }) => {
    given = await givenEngine(pairs({ strict: true }))
    const [ann, ben] = [given.device(), given.device('ben')]
    const row = ben.create('pairs', pair())
    await ben.push(row)
    const gone = ann.delete(row, { baseVersion: 1 })
    await ann.push(gone)
    const anew = ann.create('pairs', pair({ left: 'anew' }), { record: row.record ?? null, after: gone.id })
    expect(await ann.push(anew)).toMatchObject([{ status: 'applied', version: 3 }])
    if (by === 'ben')
      await ben.push(ben.update(row, { left: 'of ben' }, { base: { left: 'anew' }, baseVersion: 3 }))
    const own = { baseVersion: 0, after: anew.id }
    const more =
      op === 'delete'
        ? ann.delete(row, own)
        : ann.update(row, { right: 'x' }, { base: { right: 'r' }, ...own })
    expect(await ann.push(more)).toMatchObject([{ status }])
  },
)
