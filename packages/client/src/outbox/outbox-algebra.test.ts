import {
  isJsonArray,
  type Json,
  type Mutation,
  replayMutations,
  sortMembers,
  SyncError,
  touchedFields,
} from '@holdfast/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { type GivenDevice, givenDevice, givenSchema } from '../local/given-device.ts'
import { readShadow } from '../local/records.ts'
import { runTransaction } from '../write/writer.ts'
import { createDeadLetters } from './dead-letters.ts'
import { cutBatch } from './cut-batch.ts'
import { mutationOf } from './entry.ts'
import { entriesOfRecord, listEntries, markAnswered, markDead } from './outbox.ts'

type Row = Record<string, Json>

/** A server with one author: it takes what comes, once, and complains about what could not be right. */
class ModelServer {
  readonly rows = new Map<string, Row>()
  readonly complaints: string[] = []
  readonly #texts = new Map<string, string>()
  readonly #ids = new Set<string>()

  take(mutation: Mutation, text: string): void {
    const known = this.#texts.get(mutation.id)
    if (known !== undefined) {
      if (known !== text) this.complaints.push(`${mutation.seq} was repeated with other bytes`)
      return
    }
    this.#texts.set(mutation.id, text)
    this.apply(mutation)
  }

  apply(mutation: Mutation): void {
    const { op, record, changes, seq, after } = mutation
    if (after !== null && !this.#ids.has(after)) this.complaints.push(`${seq} stands on what was never sent`)
    this.#ids.add(mutation.id)
    const row = this.rows.get(record)
    if (row === undefined && isOfWhatNobodyHad(mutation)) return
    if ((op === 'create') === (row !== undefined))
      this.complaints.push(`${seq} ${op} meets ${row ? 'a row' : 'nothing'}`)
    const item = changes['item']
    if (typeof item === 'string' && !this.rows.has(item))
      this.complaints.push(`${seq} refers to what is not there`)
    if (op === 'delete') this.rows.delete(record)
    else this.rows.set(record, applied(row ?? {}, mutation))
    const codes = [...this.rows.values()].flatMap((each) => each['code'] ?? [])
    if (new Set(codes).size < codes.length) this.complaints.push(`${seq} takes a code that is taken`)
  }
}

/** A delete that stands for the create of its record as well. */
function isOfWhatNobodyHad(mutation: Mutation): boolean {
  const { op, baseVersion, folded = [] } = mutation
  return op === 'delete' && baseVersion === 0 && folded.length > 0 && touchedFields(mutation).length === 0
}

function applied(row: Row, { changes, increments, additions, removals }: Mutation): Row {
  const next = { ...row, ...changes }
  for (const [name, amount] of Object.entries(increments)) next[name] = Number(next[name]) + amount
  for (const [name, members] of Object.entries(removals))
    next[name] = setOf(next[name]).filter((each) => !members.includes(each))
  for (const [name, members] of Object.entries(additions))
    next[name] = sortMembers([...setOf(next[name]), ...members])
  return next
}

function setOf(value: Json | undefined): (string | number)[] {
  return isJsonArray(value)
    ? value.filter((each) => typeof each === 'string' || typeof each === 'number')
    : []
}

const ids = ['a', 'b', 'c', 'd'].map((letter) => `${letter.repeat(8)}-0000-7000-8000-000000000000`)
type Step = { readonly kind: number; readonly which: number; readonly value: number }

/** One thing an app does; what is not possible now is left out. */
async function act(device: GivenDevice, { kind, which, value }: Step): Promise<void> {
  const [item = '', line = '', code = ''] = [ids[which], ids[2 + which], ids[which]?.replace('0000', '1111')]
  const { items, lines, codes } = device
  const acts = [
    () => items.insert({ id: item, name: `n${value}`, stock: value }),
    () => items.update(item, { name: `u${value}`, tags: [`t${value}`] }),
    () => items.increment(item, { stock: value + 1 }),
    () => items.delete(item),
    async () => lines.insert({ id: line, amount: value, item: (await items.get(item)) ? item : null }),
    async () => lines.update(line, { item: (await items.get(item)) ? item : null }),
    () => lines.increment(line, { amount: 1 }),
    () => lines.delete(line),
    () => codes.insert({ id: code, code: `c${value}` }),
    () => codes.update(code, { code: `c${value}`, label: `l${value}` }),
    () => codes.update(code, { label: `m${value}` }),
    () =>
      runTransaction(givenSchema, device.parts, async (tx) => {
        await tx.items!.increment(item, { stock: 1 })
        await tx.lines!.increment(line, { amount: 1 })
      }),
  ]
  await acts[kind]?.().catch((error: unknown) => {
    const isExpected =
      error instanceof SyncError && ['RECORD_NOT_FOUND', 'RECORD_EXISTS'].includes(error.code)
    if (!isExpected) throw error
  })
}

async function push(
  device: GivenDevice,
  server: ModelServer,
  { maxMutations, isLost }: { maxMutations: number; isLost: boolean },
): Promise<number> {
  const offers = await device.database.write((tx) =>
    cutBatch(tx, givenSchema, { nowMs: 0, maxMutations, maxBytes: 1e6 }),
  )
  for (const { mutation, text } of offers) server.take(mutation, text)
  const seqs = offers.flatMap((offer) => offer.seqs)
  const answer = { status: 'applied', version: 1, serverUpdatedAt: null, exact: true } as const
  if (!isLost) await device.database.write((tx) => markAnswered(tx, seqs, answer))
  return offers.length
}

async function viewOf(device: GivenDevice): Promise<Map<string, Row>> {
  const view = new Map<string, Row>()
  for (const name of ['items', 'lines', 'codes'] as const) {
    for (const { id } of await device.database.all(`SELECT id FROM ${name}`)) {
      const row = await device[name].get(String(id))
      const fields = Object.entries(row ?? {}).filter(([field]) => !field.startsWith('_') && field !== 'id')
      view.set(String(id), Object.fromEntries(fields))
    }
  }
  return view
}

const stepArbitrary = fc.record({
  kind: fc.nat({ max: 11 }),
  which: fc.nat({ max: 1 }),
  value: fc.nat({ max: 2 }),
})

describe('an outbox is worth what was written', () => {
  test('[OB-8, OB-20] B27, B28: whatever is written while offers are in flight, lost or answered, the server ends with what the app sees', async () => {
    const pushArbitrary = fc.record({ maxMutations: fc.integer({ min: 1, max: 6 }), isLost: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 4, arbitrary: stepArbitrary }, pushArbitrary), {
          minLength: 10,
          maxLength: 40,
          size: 'max',
        }),
        async (moves) => {
          const device = await givenDevice()
          const raw = new ModelServer()
          const server = new ModelServer()
          let seen = 0
          for (const move of moves) {
            if ('kind' in move) await act(device, move)
            else await push(device, server, move)
            const entries = await device.database.read((tx) => listEntries(tx, { afterSeq: seen }))
            for (const entry of entries) raw.apply(mutationOf(entry))
            seen = entries.at(-1)?.seq ?? seen
          }
          while ((await push(device, server, { maxMutations: 50, isLost: false })) > 0) continue
          expect(server.rows).toEqual(await viewOf(device))
          // What the app did may itself have taken a code twice; then nothing can be said of codes.
          expect(raw.complaints.length > 0 ? raw.complaints : server.complaints).toEqual(raw.complaints)
          await device.database.close()
        },
      ),
      { numRuns: 200, seed: 20_261_120 },
    )
  })

  test('[PR-1] what the app reads is the shadow with every mutation replayed on it, whatever is written, refused, retried or discarded', async () => {
    const repairArbitrary = fc.record({ repair: fc.nat({ max: 3 }), pick: fc.nat() })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 3, arbitrary: stepArbitrary }, repairArbitrary), {
          minLength: 10,
          maxLength: 40,
          size: 'max',
        }),
        async (moves) => {
          const device = await givenDevice()
          await device.items.insert({ id: ids[0] ?? '', name: 'synced', stock: 7, tags: ['t0'] })
          await device.database.write(async (tx) => {
            await tx.run('DELETE FROM _outbox')
            await tx.run("UPDATE items SET _version = 5, _state = 'clean'")
          })
          for (const move of moves) {
            if ('kind' in move) await act(device, move)
            else await repair(device, move)
            await expectReplayed(device)
          }
          await device.database.close()
        },
      ),
      { numRuns: 60, seed: 20_261_121 },
    )
  })
})

/** The server takes or refuses what is next, or a person retries or discards a dead letter. */
async function repair(
  device: GivenDevice,
  { repair: kind, pick }: { repair: number; pick: number },
): Promise<void> {
  const letters = createDeadLetters(device.database, device.parts.context)
  if (kind < 2) {
    const offers = await device.database.write((tx) =>
      cutBatch(tx, givenSchema, { nowMs: 0, maxMutations: 3, maxBytes: 1e6 }),
    )
    const seqs = offers.flatMap((offer) => offer.seqs)
    if (kind === 0) await push(device, new ModelServer(), { maxMutations: 3, isLost: false })
    else await device.database.write((tx) => markDead(tx, seqs, { code: 'SCOPE_DENIED', message: '' }))
    return
  }
  const dead = await letters.list()
  const letter = dead[pick % Math.max(1, dead.length)]
  if (letter === undefined) return
  if (kind === 2) await letters.retry(letter.id)
  else await letters.discard(letter.id)
}

async function expectReplayed(device: GivenDevice): Promise<void> {
  const replayed = new Map<string, Row>()
  for (const name of ['items', 'lines', 'codes'] as const) {
    const declared = givenSchema.collections.get(name)!
    for (const id of [...ids, ...ids.map((each) => each.replace('0000', '1111'))]) {
      await device.database.read(async (tx) => {
        const { snapshot } = await readShadow(tx, declared, id)
        const entries = await entriesOfRecord(tx, name, id)
        // A record the server never had is absent beneath its entries, and clean rows are their own shadow.
        const { view } = replayMutations(declared, snapshot, entries.map(mutationOf))
        if (view.kind === 'live') replayed.set(id, { ...view.values })
      })
    }
  }
  expect(await viewOf(device)).toEqual(replayed)
}
