import type { Client } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { givenPeople, type People } from './given-people.ts'
import { type ShopSchema, shopSchema } from './shop-world.ts'

type Shop = Client<ShopSchema>

const hourMs = 3_600_000

let people: People<ShopSchema>
let folder: string
/** A gateway gives up on every push, which the server takes all the same, and what a pull gets is no page. */
let isBad: boolean

beforeEach(async () => {
  people = await givenPeople(shopSchema, ['w:w1'])
  folder = mkdtempSync(join(tmpdir(), 'holdfast-given-up-'))
  isBad = false
  people.env.connect(async (request) => {
    const isPush = request.url.endsWith('/push')
    if (isPush && (await request.clone().text()).includes('poison')) return new Response('', { status: 504 })
    const answer = await people.server.fetch(request)
    if (!isBad) return answer
    return isPush ? new Response('', { status: 504 }) : Response.json({})
  })
})

afterEach(async () => {
  await people.close()
  rmSync(folder, { recursive: true, force: true })
})

const open = (user: string, file = user): Promise<Shop> =>
  people.open(user, { storage: sqliteStorage(join(folder, file)), durability: 'fast' })
const sync = (...all: readonly Shop[]): Promise<void> => people.sync(...all)

/** `isTaken`: the server takes what `db` sends, and every answer is lost, until it is given up. */
async function giveUp(db: Shop, isTaken = true): Promise<void> {
  isBad = isTaken
  for (let cycle = 0; cycle < 200 && (await db.deadLetters.list()).length === 0; cycle++) {
    await people.env.complete(db.sync.now().catch(() => undefined))
    await people.env.advance(hourMs / 4)
  }
  isBad = false
  expect(await db.deadLetters.list()).toMatchObject([{ error: { code: 'ATTEMPTS_EXHAUSTED' } }])
}

const letterOf = async (db: Shop): Promise<string> => (await db.deadLetters.list())[0]?.id ?? ''

test('[OB-15] [OB-17] what was taken, and given up because its answers were lost, counts once also where it is edited', async () => {
  const [ann, bob] = [await open('ann'), await open('bob')]
  const id = await ann.items.insert({ name: 'Rope', price: '1.00', stock: 5 })
  await sync(ann, bob)
  await ann.items.update(id, { stock: 8, price: '2.00' })
  await giveUp(ann)
  await ann.deadLetters.editAndRetry(await letterOf(ann), { stock: 7 }, await ann.items.get(id))
  expect(await ann.items.get(id)).toMatchObject({ stock: 7, price: '2.00' })
  await sync(ann, ann, bob)
  expect(await ann.outbox.list()).toEqual([])
  expect(await ann.items.get(id)).toMatchObject({ stock: 7, price: '2.00', _state: 'clean' })
  expect(await bob.items.get(id)).toMatchObject({ stock: 7, price: '2.00' })
  expect(await ann.conflicts.list()).toEqual([])
})

test('[OB-17] nor is what it made, of a record and of a transaction, made twice', async () => {
  const [ann, bob] = [await open('ann'), await open('bob')]
  const other = await ann.items.insert({ name: 'Line', stock: 1 })
  await sync(ann, bob)
  const id = await ann.transaction(async (tx) => {
    await tx.items.update(other, { stock: 4 })
    return tx.items.insert({ name: 'Rope', stock: 5 })
  })
  await giveUp(ann)
  const made = (await ann.deadLetters.list())[0]?.mutations.find(({ op }) => op === 'create')
  await ann.deadLetters.editAndRetry(made?.id ?? '', { name: 'Cord', stock: 6 }, await ann.items.get(id))
  await sync(ann, ann, bob)
  for (const db of [ann, bob]) {
    expect(await db.items.get(id)).toMatchObject({ name: 'Cord', stock: 6, _state: 'clean' })
    expect(await db.items.get(other)).toMatchObject({ stock: 4, _state: 'clean' })
  }
  expect(await ann.outbox.list()).toEqual([])
})

test('[OB-17] what never reached the server, for what it says, reaches it once it says something else', async () => {
  const [ann, bob] = [await open('ann'), await open('bob')]
  const id = await ann.items.insert({ name: 'poison', stock: 5 })
  await giveUp(ann, false)
  await ann.deadLetters.editAndRetry(await letterOf(ann), { name: 'Rope', stock: 6 })
  await sync(ann, ann, bob)
  for (const db of [ann, bob])
    expect(await db.items.get(id)).toMatchObject({ name: 'Rope', stock: 6, _state: 'clean' })
})

test('[OB-17] what was written later, and is deleted by others meanwhile, is no matter', async () => {
  const [ann, bob] = [await open('ann'), await open('bob')]
  const id = await ann.items.insert({ name: 'Rope', stock: 5 })
  await sync(ann, bob)
  await ann.items.update(id, { note: 'poison', stock: 6 })
  await giveUp(ann, false)
  await ann.items.update(id, { stock: 8, price: '3.00' })
  await bob.items.delete(id)
  await sync(bob, ann)
  await ann.deadLetters.editAndRetry(await letterOf(ann), { note: 'fine' })
  await sync(ann, ann)
  expect(await ann.conflicts.list()).toHaveLength(1)
  await ann.conflicts.keepMine((await ann.conflicts.list())[0]?.id ?? '')
  await sync(ann, ann, bob)
  for (const db of [ann, bob])
    expect(await db.items.get(id)).toMatchObject({ note: 'fine', stock: 8, price: '3.00', _state: 'clean' })
})

test('[OB-17] [SY-12] two copies of a database that edit it alike count once', async () => {
  const [ann, bob] = [await open('ann'), await open('bob')]
  const id = await ann.items.insert({ name: 'Rope', stock: 5 })
  await sync(ann, bob)
  await ann.items.update(id, { stock: 8 })
  await giveUp(ann)
  await ann.close()
  copyFileSync(join(folder, 'ann'), join(folder, 'copy'))
  const copies = [await open('ann', 'ann'), await open('ann', 'copy')]
  for (const db of copies) await db.deadLetters.editAndRetry(await letterOf(db), { stock: 7 })
  await sync(...copies, ...copies, ...copies, bob)
  for (const db of [...copies, bob])
    expect(await db.items.get(id)).toMatchObject({ stock: 7, _state: 'clean' })
})

test('[PU-37] [OB-17] nobody is asked about their own edits, where a fold was given up and a pull tells that it was taken', async () => {
  const ann = await open('ann')
  const [id = '', other = ''] = await ann.items.insertMany([{ name: 'Rope', stock: 5 }, { name: 'Line' }])
  await sync(ann)
  await ann.items.increment(id, { stock: 3 })
  await ann.items.update(id, { note: 'sold' })
  // Whose push fails alone comes to pull before it pushes again.
  await ann.items.update(other, { note: 'behind it' })
  await giveUp(ann)
  await ann.deadLetters.editAndRetry(await letterOf(ann), { note: 'sold' })
  await ann.items.delete(id)
  await sync(ann, ann, ann)
  expect(await ann.conflicts.list()).toEqual([])
  expect(await ann.items.get(id)).toBe(undefined)
  expect(await ann.outbox.list()).toEqual([])
})

test('[OB-17] what its author has deleted since stays deleted, whatever it is changed to', async () => {
  const [ann, bob] = [await open('ann'), await open('bob')]
  const id = await ann.items.insert({ name: 'Rope', stock: 5 })
  await sync(ann, bob)
  await ann.items.update(id, { note: 'sold' })
  await giveUp(ann)
  await ann.items.delete(id)
  await ann.deadLetters.editAndRetry(await letterOf(ann), { note: 'other' })
  expect(await ann.items.get(id)).toBe(undefined)
  await sync(ann, ann, ann, bob)
  expect([await ann.conflicts.list(), await ann.outbox.list()]).toEqual([[], []])
  for (const db of [ann, bob]) expect(await db.items.get(id)).toBe(undefined)
})
