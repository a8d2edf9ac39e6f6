import type { FormStep, Observation } from './observation.ts'
import type { Item } from './run-book.ts'

/** How far a device had read when somebody opened a form there, and when that was. */
interface Opened {
  readonly position: number
  /** The same once it was open: what it shows was read in between. */
  readonly newest: number
  readonly tick: number
}

/** What the author of a mutation had read, and when they wrote. */
export interface Written {
  readonly position: number
  /** Beyond this they had read nothing. */
  readonly newest: number
  readonly tick: number
  /** When the form was opened that it was written in; undefined for what was written in none. */
  readonly openedTick: number | undefined
  /** Scopes that the disk did not cover then, and had before: of what became of their rows its cursor says nothing. */
  readonly left: ReadonlySet<string>
}

const nothing: Written = { position: 0, newest: 0, tick: 0, openedTick: undefined, left: new Set() }

/** Where and when something is written. */
export interface Place {
  readonly disk: string
  readonly collection: string
  readonly record: string
  readonly atMs: number
}

/** No form is being saved for longer, virtual ms. */
const savingMostMs = 60_000

/** How far the author of each mutation had read when they wrote it, told from the cursors of disks and from forms. */
export class WhatWasRead {
  /** By disk, how far it has read. */
  readonly #position = new Map<string, number>()
  /** By disk and form. */
  readonly #opened = new Map<string, Opened>()
  /** Mutations, by the key they were written under. */
  readonly #written = new Map<string, Written>()
  /** Forms that are being saved, by disk and record, and since when. */
  readonly #saving = new Map<string, Map<string, number>>()
  /** Copies of each other, and disks that are as they were earlier. */
  readonly #copies = new Set<string>()
  /** By disk, the scopes that it covered once and does not now. */
  readonly #left = new Map<string, Set<string>>()
  #tick = 0

  /** Of what was observed last. */
  get tick(): number {
    return this.#tick
  }

  observe(o: Observation): void {
    this.#tick += 1
    switch (o.kind) {
      case 'cursor':
        this.#position.set(o.disk, o.epoch === null ? 0 : o.position)
        for (const scope of o.scopes ?? []) this.#left.get(o.disk)?.delete(scope)
        return
      case 'entry-written':
        if (!this.#written.has(o.id)) this.#written.set(o.id, this.now(o))
        return
      case 'scopes-left':
        this.#left.set(o.disk, new Set([...(this.#left.get(o.disk) ?? []), ...o.scopes]))
        return
      case 'form':
        this.#form(o)
        return
      case 'device-copied':
        this.#copies.add(o.disk).add(o.to)
        return
      case 'device-lost':
        this.#copies.add(o.disk)
        return
      default:
    }
  }

  /** What the author of a mutation knew when they first wrote it, under whatever key it travels. */
  of({ write }: Item): Written {
    return this.#written.get(write.first.id) ?? nothing
  }

  /** Whether a disk has been copied, or is as it was earlier: it knows of things that it has not read. */
  isCopied(disk: string): boolean {
    return this.#copies.has(disk)
  }

  /** Who writes on a record now had read this; in a form, what they had when they opened it, and seen what they had written by then. */
  now({ disk, collection, record, atMs }: Place): Written {
    const saving = this.#saving.get(`${disk} ${collection}/${record}`) ?? []
    // Of an app that dies nobody hears that it is over.
    const forms = [...saving].flatMap(([form, sinceMs]) => (atMs - sinceMs <= savingMostMs ? form : []))
    const opened = forms.flatMap((form) => this.#opened.get(form) ?? [])
    const now = this.#position.get(disk) ?? 0
    const position = Math.min(now, ...opened.map((form) => form.position))
    const newest = opened.length === 0 ? now : Math.max(...opened.map((form) => form.newest))
    const openedTick = opened.length === 0 ? undefined : Math.min(...opened.map(({ tick }) => tick))
    return { position, newest, tick: this.#tick, openedTick, left: new Set(this.#left.get(disk)) }
  }

  #form({ disk, form, step, record, atMs }: FormStep): void {
    const name = `${disk} ${form}`
    const now = this.#position.get(disk) ?? 0
    const opened = this.#opened.get(name)
    if (step === 'opening') this.#opened.set(name, { position: now, newest: now, tick: this.#tick })
    if (step === 'opened' && opened) this.#opened.set(name, { ...opened, newest: now })
    if (record === null) return
    const place = `${disk} ${record}`
    const saving = this.#saving.get(place) ?? new Map<string, number>()
    if (step === 'saving') this.#saving.set(place, saving.set(name, atMs))
    if (step === 'saved') saving.delete(name)
  }
}
