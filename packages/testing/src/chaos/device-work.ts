import type { Client, Conflict } from '@holdfast/client'
import { SyncError } from '@holdfast/core'

import type { SeededRandom } from '../seeded-random.ts'
import type { chaosSchema } from './chaos-schema.ts'
import type { Deed, Journal } from './journal.ts'

/** The database of a chaos device. */
export type ChaosClient = Client<typeof chaosSchema>

/** What somebody at a device is made from. */
export interface DeviceWorkOptions {
  readonly db: ChaosClient
  readonly journal: Journal
  readonly random: SeededRandom
  /** Unique among all processes of the run: values and tags begin with it. */
  readonly author: string
}

/** Items the devices make between them; few, so that they meet. */
const itemCount = 8

/** Largest amount of a count: with so wide a range no sum comes out right by accident. */
const largestAmount = 1_000_000_000

/** Deeds by how often they are done; of those that cannot be done now the next is taken. */
const weights: Readonly<Record<Deed['kind'], number>> = {
  item: 4,
  count: 30,
  label: 10,
  tag: 10,
  untag: 4,
  note: 8,
  body: 8,
  erase: 3,
  pair: 8,
  revalue: 8,
  unpair: 2,
  settle: 5,
}

/** A person at a device, by chance: each write goes into the journal before it is made and after it was acknowledged. */
export class DeviceWork {
  readonly #db: ChaosClient
  readonly #journal: Journal
  readonly #random: SeededRandom
  readonly #author: string
  /** What this process made and nobody else touches. */
  readonly #tags: { readonly item: string; readonly tag: string }[] = []
  readonly #pairs: string[] = []
  #items: readonly string[] = []
  #notes: readonly string[] = []
  #count = 0

  constructor({ db, journal, random, author }: DeviceWorkOptions) {
    this.#db = db
    this.#journal = journal
    this.#random = random
    this.#author = author
  }

  /** One write, whatever it is. */
  async next(): Promise<void> {
    if (this.#count++ % 10 === 0) await this.#look()
    const deed = await this.#draw()
    if (deed !== undefined) await this.#carryOut(deed)
  }

  /** Decides every open conflict, and gives up decisions that came second: what was written on them waits for that. */
  async settleAll(): Promise<void> {
    for (const { id, error } of await this.#db.deadLetters.list())
      if (error.code === 'CONFLICT_CLOSED') await this.#giveUp(id)
    for (const conflict of await this.#db.conflicts.list()) await this.#carryOut(this.#settlement(conflict))
  }

  /** A copy that was to be made goes with what was written on it since, of which no server ever heard. */
  async #giveUp(letter: string): Promise<void> {
    const unsettled = await this.#db.outbox.list()
    const { mutations } = await this.#db.deadLetters.discard(letter)
    const gone = unsettled.filter(({ id, status }) => status !== 'dead' && mutations.includes(id))
    for (const { payload } of gone) this.#journal.gaveUp(JSON.stringify(payload.changes))
  }

  /** What there is by now, and whether anything of it is half of a transaction. */
  async #look(): Promise<void> {
    this.#items = (await this.#db.query((q) => q.selectFrom('items').select('id').orderBy('id'))).map(
      ({ id }) => id,
    )
    this.#notes = (await this.#db.query((q) => q.selectFrom('notes').select('id').orderBy('id'))).map(
      ({ id }) => id,
    )
    const pairs = await this.#db.query((q) =>
      q
        .selectFrom('pairs')
        .select(({ fn }) => [
          'pair',
          fn.countAll<number>().as('halves'),
          fn.min('value').as('least'),
          fn.max('value').as('most'),
        ])
        .groupBy('pair'),
    )
    for (const { pair, halves, least, most } of pairs)
      if (halves !== 2 || least !== most) this.#journal.torn(`${pair}: ${halves} halves, ${least}, ${most}`)
  }

  async #draw(): Promise<Deed | undefined> {
    if (this.#items.length < 2) return this.#made('item')
    let roll = this.#random.below(Object.values(weights).reduce((sum, weight) => sum + weight))
    for (const [kind, weight] of Object.entries(weights)) {
      roll -= weight
      // The keys of `weights` are the kinds.
      if (roll < 0) return kind === 'settle' ? this.#settleOne() : this.#made(kind as Deed['kind'])
    }
    return undefined
  }

  #made(kind: Deed['kind']): Deed | undefined {
    const value = `${this.#author}-${this.#count}`
    const item = this.#pick(this.#items) ?? ''
    const note = this.#pick(this.#notes)
    const pair = this.#pick(this.#pairs)
    switch (kind) {
      case 'item':
        if (this.#items.length >= itemCount) return { kind: 'count', item, amount: this.#amount() }
        return { kind, item: this.#uuid(), value, amount: this.#amount() }
      case 'count':
        return { kind, item, amount: this.#amount() }
      case 'label':
        return { kind, item, value }
      case 'tag':
        return { kind, item, tag: value }
      case 'untag': {
        const [mine] = this.#tags.splice(this.#random.below(Math.max(1, this.#tags.length)), 1)
        return mine && { kind, ...mine }
      }
      case 'note':
        return { kind, note: this.#uuid(), value }
      case 'body':
        return note === undefined ? undefined : { kind, note, value }
      case 'erase':
        return note === undefined ? undefined : { kind, note }
      case 'pair':
        return { kind, pair: this.#uuid(), value, item, amount: this.#amount() }
      case 'revalue':
        return pair === undefined ? undefined : { kind, pair, value }
      case 'unpair':
        if (pair !== undefined) this.#pairs.splice(this.#pairs.indexOf(pair), 1)
        return pair === undefined ? undefined : { kind, pair }
      case 'settle':
        return undefined
    }
  }

  async #settleOne(): Promise<Deed | undefined> {
    const conflict = this.#pick(await this.#db.conflicts.list())
    return conflict && this.#settlement(conflict)
  }

  #settlement({ id, record }: Conflict): Deed {
    const value = this.#random.below(3) === 0 ? `${this.#author}-${this.#count++}-settled` : null
    return { kind: 'settle', conflict: id, record, value }
  }

  async #carryOut(deed: Deed): Promise<void> {
    const n = this.#journal.begin(deed)
    try {
      await this.#write(deed)
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      this.#journal.refused(n, error.code)
      return
    }
    this.#journal.done(n)
    if (deed.kind === 'tag') this.#tags.push({ item: deed.item, tag: deed.tag })
    if (deed.kind === 'pair') this.#pairs.push(deed.pair)
  }

  async #write(deed: Deed): Promise<unknown> {
    const { items, notes } = this.#db
    switch (deed.kind) {
      case 'item':
        return items.insert({ id: deed.item, label: deed.value, stock: deed.amount })
      case 'count':
        return items.increment(deed.item, { stock: deed.amount })
      case 'label':
        return items.update(deed.item, { label: deed.value })
      case 'tag':
        return items.add(deed.item, { tags: [deed.tag] })
      case 'untag':
        return items.remove(deed.item, { tags: [deed.tag] })
      case 'note':
        return notes.insert({ id: deed.note, body: deed.value })
      case 'body':
        return notes.update(deed.note, { body: deed.value })
      case 'erase':
        return notes.delete(deed.note)
      case 'pair':
      case 'revalue':
      case 'unpair':
        return this.#writePair(deed)
      case 'settle':
        return this.#settle(deed)
    }
  }

  #writePair(deed: Extract<Deed, { pair: string }>): Promise<void> {
    const [left, right] = halvesOf(deed.pair)
    return this.#db.transaction(async ({ items, pairs }) => {
      for (const id of [left, right]) {
        if (deed.kind === 'pair') await pairs.insert({ id, pair: deed.pair, value: deed.value })
        else if (deed.kind === 'revalue') await pairs.update(id, { value: deed.value })
        else await pairs.delete(id)
      }
      if (deed.kind === 'pair') await items.increment(deed.item, { stock: deed.amount })
    })
  }

  async #settle({ conflict, value }: Extract<Deed, { kind: 'settle' }>): Promise<unknown> {
    const { conflicts } = this.#db
    const open = await conflicts.get(conflict)
    const [part] = open?.parts ?? []
    // Typing something needs two sides that are there.
    if (value !== null && part !== undefined && part.mine !== null && part.theirs !== null) {
      return conflicts.merge(conflict, part.collection === 'items' ? { label: value } : { body: value })
    }
    // A copy of an item would take what was counted with it, and the sums would say nothing.
    const choice = this.#random.below(part?.collection === 'notes' ? 3 : 2)
    if (choice === 0) return conflicts.keepMine(conflict)
    return choice === 1 ? conflicts.keepTheirs(conflict) : conflicts.keepBoth(conflict)
  }

  #amount(): number {
    return (this.#random.below(2) * 2 - 1) * (1 + this.#random.below(largestAmount))
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.#random.below(Math.max(1, list.length))]
  }

  #uuid(): string {
    const hex = Buffer.from(this.#random.fill(new Uint8Array(16))).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
  }
}

/** The ids of the two records of a pair. */
export function halvesOf(pair: string): readonly [string, string] {
  return [`${pair.slice(0, -1)}0`, `${pair.slice(0, -1)}1`]
}
