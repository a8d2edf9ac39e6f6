import { collection, defineSchema, type Json, text, type Values } from '@holdfast/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type GivenDevice, type GivenEngine, givenEngine, item, type RawMutation } from '../given-engine.ts'
import type { EscrowAnswer, EscrowDecision, EscrowedEdit } from './escrowed-edit.ts'

let given: GivenEngine

beforeEach(async () => {
  given = await givenEngine({ mayReview: ({ id }) => id === 'boss' || id === 'chief' })
})

afterEach(() => given.close())

const boss = (grants: GivenDevice['grants'] = ['warehouse:1', 'warehouse:2']): GivenDevice =>
  given.device('boss', grants)

const forEscrow = (mutation: RawMutation): RawMutation => ({ ...mutation, escrow: true })

async function waiting(reviewer = boss()): Promise<readonly EscrowedEdit[]> {
  return (await given.engine.escrow(reviewer.caller, { status: 'waiting' })).edits
}

async function onlyWaiting(): Promise<EscrowedEdit> {
  const [edit] = await waiting()
  if (!edit) throw new Error('nothing waits')
  return edit
}

function decide(
  id: string,
  decision: EscrowDecision = { kind: 'accept' },
  reviewer = boss(),
): Promise<EscrowAnswer> {
  return given.engine.decideEscrow(reviewer.caller, id, decision)
}

async function row(of: { readonly record: string }): Promise<Values | null> {
  const text = await given.engine.record(boss().caller, 'items', of.record)
  return text === null ? null : (JSON.parse(text) as Values)
}

/** Ann made an item, saw it, and has no right to it any more. */
const givenRevoked = (values: Values = {}): ReturnType<typeof givenRevokedOf> => givenRevokedOf(item(values))

async function givenRevokedOf(values: Values): Promise<{ ann: GivenDevice; made: RawMutation }> {
  const ann = given.device('ann')
  const made = ann.create('items', values)
  await ann.push(made)
  await ann.pull()
  ann.grants = []
  return { ann, made }
}

const priced = (ann: GivenDevice, made: RawMutation, price = '950.00'): RawMutation =>
  ann.update(made, { price }, { baseVersion: 1, base: { price: '899.00' } })

test('[ES-1] an edit for escrow is kept and not judged, and the answer is the same without such a record', async () => {
  const { ann, made } = await givenRevoked()

  const there = await ann.pushOne(forEscrow(priced(ann, made)))
  const nowhere = await ann.pushOne(
    forEscrow(
      ann.update({ collection: 'items', record: '00000000-0000-4000-8000-000000000000' }, { name: 'x' }),
    ),
  )

  expect(there).toMatchObject({
    status: 'rejected',
    version: null,
    error: { code: 'ESCROWED', retry: 'never' },
  })
  expect({ ...nowhere, id: '' }).toEqual({ ...there, id: '' })
  expect(await row(made)).toMatchObject({ price: '899.00', version: 1 })
})

test('[ES-2] a repeat is answered the same, and nothing is kept twice', async () => {
  const { ann, made } = await givenRevoked()
  const edit = forEscrow(priced(ann, made))

  const first = await ann.pushOne(edit)
  const second = await ann.pushOne(edit)

  expect(second).toEqual({ ...first, duplicate: true })
  expect(await waiting()).toHaveLength(1)
})

test('[ES-2] what had been decided before is answered as it was, and does not go to escrow', async () => {
  const ann = given.device('ann')
  const made = ann.create('items', item())
  await ann.push(made)
  const edit = priced(ann, made)
  await ann.push(edit)
  ann.grants = []

  expect(await ann.pushOne(forEscrow(edit))).toMatchObject({ status: 'applied', version: 2, duplicate: true })
  expect(await waiting()).toEqual([])
})

test('[ES-3] a transaction of which a member goes to escrow goes there whole', async () => {
  const { ann, made } = await givenRevoked()
  const group = '11111111-1111-4111-8111-111111111111'
  const note = ann.create('notes', { body: 'counted' }, { group })

  const results = await ann.push(forEscrow({ ...priced(ann, made), group }), note)

  expect(results.map(({ error }) => error?.code)).toEqual(['ESCROWED', 'ESCROWED'])
  const edits = await waiting(boss('*'))
  expect(edits.map(({ mutations }) => mutations.map(({ collection }) => collection))).toEqual([
    ['items', 'notes'],
  ])
  const [edit] = edits
  expect((await decide(edit?.id ?? '', { kind: 'accept' }, boss('*'))).edit.mutations).toMatchObject([
    { verdict: 'applied' },
    { verdict: 'applied' },
  ])
})

test('[ES-4] nobody but a reviewer is shown an edit, or decides about it', async () => {
  const { ann, made } = await givenRevoked()
  await ann.push(forEscrow(priced(ann, made)))
  const { id } = await onlyWaiting()
  const bob = given.device('bob', ['warehouse:1'])

  await expect(given.engine.escrow(bob.caller)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
  await expect(decide(id, { kind: 'accept' }, bob)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
  await expect(decide(made.record, { kind: 'accept' }, bob)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
})

test('[ES-4] a reviewer who does not see the record sees no edit of it', async () => {
  const { ann, made } = await givenRevoked()
  await ann.push(forEscrow(priced(ann, made)))
  const { id } = await onlyWaiting()
  const elsewhere = boss(['warehouse:2'])

  expect(await waiting(elsewhere)).toEqual([])
  await expect(decide(id, { kind: 'accept' }, elsewhere)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect((await decide(id)).error).toBeUndefined()
})

test('[ES-4] what would be made is seen where it would lie, and what nobody knows by who sees everything', async () => {
  const ann = given.device('ann', [])
  await ann.push(
    forEscrow(ann.create('items', item({ warehouse: '2', name: 'New' }))),
    forEscrow(
      ann.update({ collection: 'items', record: '00000000-0000-4000-8000-000000000000' }, { name: 'Gone' }),
    ),
  )

  const named = async (grants: GivenDevice['grants']): Promise<readonly Json[]> =>
    (await waiting(boss(grants))).flatMap(({ mutations }) =>
      mutations.map(({ changes }) => changes['name'] ?? null),
    )
  expect(await named(['warehouse:1'])).toEqual([])
  expect(await named(['warehouse:2'])).toEqual(['New'])
  expect(await named('*')).toEqual(['New', 'Gone'])
})

test('[ES-4] without mayReview those decide who see everything', async () => {
  await given.close()
  given = await givenEngine()
  const { ann, made } = await givenRevoked()
  await ann.push(forEscrow(priced(ann, made)))

  expect(await waiting(given.device('root', '*'))).toHaveLength(1)
  await expect(waiting(boss())).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
})

test('[ES-5] edits are listed as they came, a page at a time, with what they say and what their author saw', async () => {
  const { ann, made } = await givenRevoked()
  const edits = ['1.00', '2.00', '3.00'].map((price) => forEscrow(priced(ann, made, price)))
  await ann.push(...edits)

  const first = await given.engine.escrow(boss().caller, { limit: 2 })
  const rest = await given.engine.escrow(boss().caller, { limit: 2, after: first.next ?? '' })

  const prices = [...first.edits, ...rest.edits].map(({ mutations }) => mutations[0]?.changes['price'])
  expect(prices).toEqual(['1.00', '2.00', '3.00'])
  expect(rest.next).toBeNull()
  expect(first.edits[0]).toMatchObject({
    status: 'waiting',
    author: 'ann',
    device: ann.id,
    receivedAt: '2026-11-20T10:00:00.000Z',
    mutations: [{ op: 'update', record: made.record, baseVersion: 1, base: { price: '899.00' } }],
  })
})

test('[ES-6] an accepted edit is merged as it stands then, in the name of its author', async () => {
  const { ann, made } = await givenRevoked()
  await ann.push(
    forEscrow(
      ann.update(made, { price: '950.00' }, { base: { price: '899.00' }, increments: { stock: -2 } }),
    ),
  )
  const bob = given.device('bob')
  await bob.push(bob.update(made, {}, { increments: { stock: 5 }, baseVersion: 1 }))
  const { id } = await onlyWaiting()

  const { edit, error } = await decide(id)

  expect(error).toBeUndefined()
  expect(edit).toMatchObject({ status: 'accepted', decidedBy: 'boss', mutations: [{ version: 3 }] })
  expect(await row(made)).toMatchObject({ price: '950.00', stock: 13 })
  const [line] = (await given.engine.history(boss().caller, 'items', made.record)) ?? []
  expect(line).toMatchObject({ user: 'ann', device: ann.id, acceptedBy: 'boss', version: 3 })
})

test('[ES-6] the host is asked about who accepts, and the author needs no right', async () => {
  await given.close()
  given = await givenEngine({
    mayReview: () => true,
    authorize: ({ user }) => user.id !== 'ann' || 'not ann',
  })
  const chief = given.device('chief', ['warehouse:1'])
  const made = chief.create('items', item())
  await chief.push(made)
  const ann = given.device('ann', [])
  await ann.push(forEscrow(priced(ann, made)))

  expect((await decide((await onlyWaiting()).id)).edit.status).toBe('accepted')
})

test('[ES-6] what its author wrote before counts as seen', async () => {
  const ann = given.device('ann')
  const made = ann.create('items', item())
  const renamed = ann.update(made, { name: 'Desk' }, { after: made.id, base: { name: 'Laptop' } })
  await ann.push(made, renamed)
  ann.grants = []
  // No base: the version says what was seen, and that of the own edit before it was not known yet.
  await ann.push(
    forEscrow(ann.update(made, { name: 'Chair' }, { after: renamed.id, base: { name: 'Desk' } })),
  )

  expect((await decide((await onlyWaiting()).id)).edit.mutations).toMatchObject([{ verdict: 'applied' }])
  expect(await row(made)).toMatchObject({ name: 'Chair' })
})

test('[ES-7] an accepted edit that cannot take effect goes on waiting, and nothing is written', async () => {
  const { ann, made } = await givenRevoked()
  await ann.push(forEscrow(priced(ann, made)))
  const bob = given.device('bob')
  await bob.push(bob.update(made, { sku: 'TAKEN' }, { baseVersion: 1 }))
  await ann.push(forEscrow(ann.create('items', item({ sku: 'TAKEN' }))))
  const [, second] = await waiting()

  const { edit, error } = await decide(second?.id ?? '')

  expect(error).toMatchObject({ code: 'UNIQUE_VIOLATION' })
  expect(edit).toMatchObject({ status: 'waiting', decidedBy: null })
  expect(await waiting()).toHaveLength(2)
})

test('[ES-7] what stands on an edit that waits in escrow is accepted after it', async () => {
  const ann = given.device('ann', [])
  const made = forEscrow(ann.create('items', item({ name: 'Laptop' })))
  const renamed = forEscrow(ann.update(made, { name: 'Desk' }, { after: made.id, base: { name: 'Laptop' } }))
  await ann.push(made, renamed)
  const [first, second] = await waiting()

  expect((await decide(second?.id ?? '')).error).toMatchObject({ code: 'DEPENDENCY_FAILED' })
  expect((await decide(first?.id ?? '')).error).toBeUndefined()
  expect((await decide(second?.id ?? '')).edit.mutations).toMatchObject([{ verdict: 'applied' }])
  expect(await row(made)).toMatchObject({ name: 'Desk' })
})

test('[ES-7] a removal that waits does not overtake what it removes, whatever passes between them', async () => {
  const { ann, made } = await givenRevoked()
  const added = ann.update(made, {}, { baseVersion: 1, additions: { tags: ['heavy'] } })
  const renamed = ann.update(made, { name: 'Desk' }, { baseVersion: 1, after: added.id })
  const removed = ann.update(made, {}, { baseVersion: 1, after: renamed.id, removals: { tags: ['heavy'] } })
  await ann.push(...[added, renamed, removed].map(forEscrow))
  const [first, second, third] = await waiting()

  expect((await decide(third?.id ?? '')).error).toMatchObject({ code: 'DEPENDENCY_FAILED' })
  expect((await decide(second?.id ?? '')).error).toBeUndefined()
  expect((await decide(third?.id ?? '')).error).toMatchObject({ code: 'DEPENDENCY_FAILED' })
  expect((await decide(first?.id ?? '')).error).toBeUndefined()
  expect((await decide(third?.id ?? '')).error).toBeUndefined()
  expect(await row(made)).toMatchObject({ name: 'Desk', tags: [] })
})

/** The same of a record where any concurrent change is a conflict. */
async function givenStrict(): ReturnType<typeof givenRevokedOf> {
  await given.close()
  const items = collection({
    fields: { name: text(), site: text() },
    scope: 'warehouse:{site}',
    strict: true,
  })
  given = await givenEngine({
    schema: defineSchema({ version: 1, collections: { items } }),
    mayReview: ({ id }) => id === 'boss',
  })
  return givenRevokedOf({ name: 'Lamp', site: '1' })
}

test.each(['in escrow', 'with the right'])(
  '[ES-6] what its author did %s before an edit that was refused counts as seen',
  async (where) => {
    const { ann, made } = await givenStrict()
    const named = ann.update(made, { name: 'Desk' }, { baseVersion: 1, base: { name: 'Lamp' } })
    if (where === 'with the right') ann.grants = ['warehouse:1']
    await ann.push(where === 'in escrow' ? forEscrow(named) : named)
    ann.grants = []
    for (const { id } of await waiting()) await decide(id)
    const again = ann.update(
      made,
      { name: 'Chair' },
      { baseVersion: 1, after: named.id, base: { name: 'Desk' } },
    )
    const moved = ann.update(made, { site: '2' }, { baseVersion: 1, after: again.id, base: { site: '1' } })
    await ann.push(...[again, moved].map(forEscrow))
    const [first, second] = await waiting()
    await decide(first?.id ?? '', { kind: 'refuse', reason: null })

    expect((await decide(second?.id ?? '')).edit.mutations).toMatchObject([{ verdict: 'applied' }])
    expect(await row(made)).toMatchObject({ name: 'Desk', site: '2' })
  },
)

test('[ES-7] of a strict record an edit does not overtake an earlier one of its author, whatever fields they touch', async () => {
  const { ann, made } = await givenStrict()
  const named = ann.update(made, { name: 'Desk' }, { baseVersion: 1, base: { name: 'Lamp' } })
  const moved = ann.update(made, { site: '2' }, { baseVersion: 1, after: named.id, base: { site: '1' } })
  await ann.push(forEscrow(named), forEscrow(moved))
  const [first, second] = await waiting()

  expect((await decide(second?.id ?? '')).error).toMatchObject({ code: 'DEPENDENCY_FAILED' })
  for (const edit of [first, second])
    expect((await decide(edit?.id ?? '')).edit.mutations).toMatchObject([{ verdict: 'applied' }])
  expect(await row(made)).toMatchObject({ name: 'Desk', site: '2' })
})

test('[ES-7] what stands on an edit that was refused in escrow is not accepted', async () => {
  const ann = given.device('ann', [])
  const made = forEscrow(ann.create('items', item()))
  await ann.push(made, forEscrow(ann.update(made, { name: 'Desk' }, { after: made.id })))
  const [first, second] = await waiting()
  await decide(first?.id ?? '', { kind: 'refuse', reason: null })

  expect((await decide(second?.id ?? '')).error).toMatchObject({ code: 'DEPENDENCY_FAILED' })
})

test('[ES-8] a conflict that an accepted edit meets is in front of who accepted it, and not shown to its author', async () => {
  const { ann, made } = await givenRevoked()
  await ann.push(forEscrow(priced(ann, made)), forEscrow(priced(ann, made, '960.00')))
  const bob = given.device('bob')
  await bob.push(bob.update(made, { price: '700.00' }, { base: { price: '899.00' } }))
  const [first, second] = await waiting()

  const { edit } = await decide(first?.id ?? '')

  expect(edit.mutations).toMatchObject([{ verdict: 'conflict', version: null }])
  const conflict = edit.mutations[0]?.conflict ?? ''
  const seenBy = async (device: GivenDevice): Promise<string | null> =>
    given.engine.record(device.caller, '_conflicts', conflict)
  expect(await seenBy(ann)).toBeNull()
  expect(JSON.parse((await seenBy(boss())) ?? '{}')).toMatchObject({ author: 'boss', status: 'open' })
  // The second one is about the same field.
  expect(
    (await decide(second?.id ?? '', { kind: 'accept' }, given.device('chief', '*'))).error,
  ).toMatchObject({
    code: 'CONFLICT',
  })
})

test('[ES-8] what its author writes with the right again waits for no dispute over what had been in escrow', async () => {
  const { ann, made } = await givenRevoked()
  await ann.push(forEscrow(priced(ann, made)))
  const bob = given.device('bob')
  await bob.push(bob.update(made, { price: '700.00' }, { base: { price: '899.00' } }))
  await decide((await onlyWaiting()).id)
  ann.grants = ['warehouse:1']
  const onWhatStands = { baseVersion: 2, base: { price: '700.00' } }

  expect(await ann.pushOne(ann.update(made, { price: '710.00' }, onWhatStands))).toMatchObject({
    status: 'applied',
  })
  await bob.push(bob.update(made, { price: '720.00' }, { base: { price: '710.00' } }))
  const late = await ann.pushOne(ann.update(made, { price: '730.00' }, { base: { price: '710.00' } }))
  expect(late).toMatchObject({ status: 'conflict' })
  const open = await given.engine.list(boss('*').caller, '_conflicts', { filters: { status: 'open' } })
  expect((JSON.parse(open.text) as { author: string }[]).map(({ author }) => author).sort()).toEqual([
    'ann',
    'boss',
  ])
})

test('[ES-9] an edit is accepted once, however often somebody says so', async () => {
  const { ann, made } = await givenRevoked()
  await ann.push(forEscrow(ann.update(made, {}, { increments: { stock: -2 } })))
  const { id } = await onlyWaiting()

  const answers = await Promise.all([decide(id), decide(id), decide(id, { kind: 'refuse', reason: 'late' })])

  expect(answers.map(({ error }) => error?.code ?? 'done').sort()).toEqual([
    'ESCROW_CLOSED',
    'ESCROW_CLOSED',
    'done',
  ])
  const [only] = (await given.engine.escrow(boss().caller)).edits
  expect(await row(made)).toMatchObject({ stock: only?.status === 'accepted' ? 8 : 10 })
})

test.each(['half \ud83d', 'zero \0'])(
  '[ES-9] a reason that no store can hold is refused: %j',
  async (reason) => {
    const { ann, made } = await givenRevoked()
    await ann.push(forEscrow(priced(ann, made)))
    const { id } = await onlyWaiting()
    await expect(decide(id, { kind: 'refuse', reason })).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
    expect(await onlyWaiting()).toMatchObject({ id, status: 'waiting' })
  },
)

test('[ES-9] a refused edit is kept with the reason until it is forgotten, and one that waits is kept', async () => {
  const { ann, made } = await givenRevoked()
  await ann.push(forEscrow(priced(ann, made)), forEscrow(priced(ann, made, '960.00')))
  const { id } = await onlyWaiting()

  const { edit } = await decide(id, { kind: 'refuse', reason: 'already sold' })

  expect(edit).toMatchObject({ status: 'refused', reason: 'already sold', decidedBy: 'boss' })
  expect(await row(made)).toMatchObject({ price: '899.00', version: 1 })
  const statuses = async (): Promise<readonly string[]> =>
    (await given.engine.escrow(boss().caller)).edits.map(({ status }) => status)
  given.advance(29 * 86_400_000)
  await given.engine.collectTombstones({ olderThanMs: 86_400_000 })
  expect(await statuses()).toEqual(['refused', 'waiting'])
  given.advance(2 * 86_400_000)
  await given.engine.collectTombstones({ olderThanMs: 86_400_000 })
  expect(await statuses()).toEqual(['waiting'])
})

test.each([
  ['acknowledged', true],
  ['never heard of again', false],
])(
  '[ES-7] [ES-9] what became of an edit in escrow is known as long as one waits that stands on it: its device has %s',
  async (_, isHeard) => {
    const ann = given.device('ann', [])
    const [taken, turnedDown] = [ann.create('items', item()), ann.create('items', item({ sku: 'other' }))]
    const [onTaken, onTurnedDown] = [taken, turnedDown].map((made) =>
      ann.update(made, { name: 'Desk' }, { after: made.id, base: { name: 'Laptop' } }),
    )
    await ann.push(
      ...[taken, turnedDown, onTaken, onTurnedDown].flatMap((edit) => (edit ? [forEscrow(edit)] : [])),
    )
    if (isHeard) await ann.page({ ack: '1-4' })
    const [first, second, third, fourth] = await waiting()
    expect((await decide(first?.id ?? '')).error).toBeUndefined()
    await decide(second?.id ?? '', { kind: 'refuse', reason: null })
    given.advance(31 * 86_400_000)
    await given.engine.collectTombstones({ olderThanMs: 86_400_000 })

    expect((await decide(third?.id ?? '')).error).toBeUndefined()
    expect(await row(taken)).toMatchObject({ name: 'Desk' })
    expect((await decide(fourth?.id ?? '')).error).toMatchObject({ code: 'DEPENDENCY_FAILED' })
    await decide(fourth?.id ?? '', { kind: 'refuse', reason: null })
    await given.engine.collectTombstones({ olderThanMs: 86_400_000 })
    expect((await given.engine.escrow(boss('*').caller)).edits.map(({ id }) => id)).toEqual([
      third?.id,
      fourth?.id,
    ])
  },
)

test('[ES-10] a pull says how the edits stand that it asks after, without a value and to their author alone', async () => {
  const { ann, made } = await givenRevoked()
  const edits = ['1.00', '2.00', '3.00'].map((price) => forEscrow(priced(ann, made, price)))
  await ann.push(...edits)
  const [first, second] = await waiting()
  await decide(first?.id ?? '')
  await decide(second?.id ?? '', { kind: 'refuse', reason: 'no' })
  const asked = edits.map(({ id }) => id)

  const { escrow } = await ann.page({ escrow: asked })
  const other = await given.device('bob').page({ escrow: asked })

  const at = '2026-11-20T10:00:00.000Z'
  expect(escrow).toEqual([
    { id: asked[0], status: 'accepted', reason: null, decidedAt: at },
    { id: asked[1], status: 'refused', reason: 'no', decidedAt: at },
    { id: asked[2], status: 'waiting', reason: null, decidedAt: null },
  ])
  expect(other.escrow?.map(({ status }) => status)).toEqual(['unknown', 'unknown', 'unknown'])
})

test('[AU-3] what its author wanted is in no timeline before somebody accepts it', async () => {
  const { ann, made } = await givenRevoked()
  await ann.push(forEscrow(priced(ann, made)))

  const history = async (): Promise<number | undefined> =>
    (await given.engine.history(boss().caller, 'items', made.record))?.length
  expect(await history()).toBe(1)
  await decide((await onlyWaiting()).id)
  expect(await history()).toBe(2)
})
