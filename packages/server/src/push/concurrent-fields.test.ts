import { newUuid } from '@holdfast/core'
import { afterEach, expect, test } from 'vitest'
import { type GivenEngine, givenEngine } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'
import { pair, pairs } from './given-pairs.ts'

let given: GivenEngine

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
