import type { Conflict } from '@holdfast/client'
import type { Json, Values } from '@holdfast/core'

import type { AnswerGate } from './answer-gate.ts'
import type { Device } from './devices.ts'
import type { Narrator, Panel } from './telling/narrator.ts'
import { sumBytes } from './network-link.ts'
import type { ServerView } from './server-view.ts'
import { changeText } from './telling/change-text.ts'
import { conflictLines } from './telling/conflict-lines.ts'
import { type HistoryEntry, historyLines } from './telling/history-lines.ts'
import { formatBytes, shorten } from './telling/layout.ts'
import { textOf } from './telling/text-of.ts'
import type { TokenOffice } from './tokens.ts'

/** A row of the library as a device reads it. */
export type Film = NonNullable<Awaited<ReturnType<Device['db']['films']['get']>>>

/** The fields of a film. */
export type FilmField = 'title' | 'description' | 'price' | 'stock' | 'tags' | 'notes' | 'shelf'

/** A field's value on Ana's device, on Ben's, and on the server; null where the film is not there. */
export type Everywhere = readonly [ana: Json, ben: Json, server: Json]

const placeNames = [
  { name: 'Ana', tone: 'ana' },
  { name: 'Ben', tone: 'ben' },
  { name: 'server', tone: 'server' },
] as const

/** What a stage is set with. */
export interface StageParts {
  readonly ana: Device
  readonly ben: Device
  readonly server: ServerView
  readonly url: string
  readonly office: TokenOffice
  readonly gate: AnswerGate
  /** Where device files are. */
  readonly folder: string
  readonly tell: Narrator
}

/** Where the stories are played: two devices, the server, and what they have in common to tell. */
export class Stage {
  readonly parts: StageParts

  constructor(parts: StageParts) {
    this.parts = parts
  }

  /** The film of this title; every device has the whole catalogue. */
  async film(title: string): Promise<Film> {
    const [film] = await this.parts.ana.db.query((q) =>
      q.selectFrom('films').selectAll().where('title', '=', title),
    )
    if (film === undefined) throw new Error(`the catalogue has no film called ${title}`)
    return film
  }

  /** Nobody has a network from here on. */
  goOffline(): void {
    this.parts.ana.link.setAirplane(true)
    this.parts.ben.link.setAirplane(true)
  }

  /** Shows what each did to the film on the own device, and what the own device says now. */
  async showEdits(
    film: Film,
    deeds: { ana: string; ben: string },
    fields: readonly FilmField[],
  ): Promise<void> {
    const { ana, ben, tell } = this.parts
    const half = Math.floor((tell.width - 3) / 2)
    const panel = async (device: Device, deed: string): Promise<Panel> => {
      const now = await device.db.films.get(film.id)
      const changes = fields
        .filter((field) => textOf(now?.[field]) !== textOf(film[field]))
        .map(
          (field) => `${tell.dim(field)} ${changeText(film[field], now?.[field], half - field.length - 1)}`,
        )
      return {
        name: `${device.person.name}, ${device.place}`,
        tone: device.tone,
        state: device.link.isAirplane ? 'offline' : 'online',
        lines: [deed, ...(now === undefined ? [tell.dim('gone from this device')] : changes)],
      }
    }
    tell.gap()
    tell.beside(await panel(ana, deeds.ana), await panel(ben, deeds.ben))
  }

  /** The network is back: Ana syncs, then Ben, then Ana once more, who now gets what Ben brought. */
  async meet(): Promise<void> {
    const { ana, ben, tell } = this.parts
    for (const device of [ana, ben]) {
      device.link.setAirplane(false)
      device.link.takeExchanges()
    }
    for (const device of [ana, ben, ana]) await device.db.sync.now()
    const report = [ana, ben].map((device) => {
      const { up, down } = sumBytes(device.link.takeExchanges())
      const bytes = tell.dim(`↑ ${formatBytes(up)} ↓ ${formatBytes(down)}`)
      return `${tell.tint(device.tone, device.person.name)} ${bytes}`
    })
    tell.gap()
    tell.item('sync', [report.join('    ')])
  }

  /** Reads fields of a film in all three places and shows them. */
  async compare(id: string, fields: readonly FilmField[]): Promise<Record<FilmField, Everywhere>> {
    const { ana, ben, server } = this.parts
    const rows: readonly (Values | null | undefined)[] = [
      await ana.db.films.get(id),
      await ben.db.films.get(id),
      await server.film(id),
    ]
    const valuesOf = (field: string): Everywhere => {
      const [onAna, onBen, onServer] = rows.map((row) => row?.[field] ?? null)
      return [onAna ?? null, onBen ?? null, onServer ?? null]
    }
    this.#tellPlaces(fields.map((field) => ({ field, values: valuesOf(field).map(textOf) })))
    // Built from the very list of fields that the type is told.
    return Object.fromEntries(fields.map((field) => [field, valuesOf(field)])) as Record<
      FilmField,
      Everywhere
    >
  }

  /** What is the same everywhere on a line of its own; a table with a column for each place of what is not. */
  #tellPlaces(rows: readonly { readonly field: string; readonly values: readonly string[] }[]): void {
    const { tell } = this.parts
    const isSame = ({ values }: { readonly values: readonly string[] }): boolean => new Set(values).size === 1
    const different = rows.filter((row) => !isSame(row))
    if (different.length > 0) {
      const columns = Math.floor(tell.bodyWidth / 3) - 2
      tell.places(
        placeNames,
        different.map(({ field, values }) => ({
          label: field,
          values: values.map((value) => tell.strong(shorten(value, columns))),
        })),
      )
    }
    const everywhere = placeNames
      .map(({ name, tone }) => `${tell.good('✓')} ${tell.tint(tone, name)}`)
      .join(' ')
    for (const { field, values } of rows.filter(isSame)) {
      const text = shorten(values[0] ?? '', tell.bodyWidth - 23)
      tell.item(field, [`${tell.strong(text)}   ${everywhere}`])
    }
  }

  /** Shows who did what to the film, when, and which rule decided; returns it newest first. */
  async tellHistory(id: string): Promise<readonly HistoryEntry[]> {
    const { history } = await this.parts.ana.db.history('films', id)
    this.parts.tell.gap()
    this.parts.tell.item('history', historyLines(this.parts.tell, history))
    return history
  }

  /** How many conflicts wait for a person, as this device sees it. */
  async openConflicts(device: Device): Promise<number> {
    return (await device.db.conflicts.list()).length
  }

  /** The conflict about a film, as this device sees it, shown with both sides. */
  async tellConflict(device: Device, id: string): Promise<Conflict> {
    const { tell } = this.parts
    const [conflict] = await device.db.conflicts.list({ record: id })
    if (conflict === undefined) throw new Error(`${device.person.name} sees no conflict`)
    tell.gap()
    tell.item('conflict', conflictLines(tell, conflict))
    return conflict
  }
}
