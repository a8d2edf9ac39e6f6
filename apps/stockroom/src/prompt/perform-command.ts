import { assertNever, type Payload } from '@holdfast/core'

import type { Device } from '../devices.ts'
import type { Film, Stage } from '../stage.ts'
import { conflictLines } from '../telling/conflict-lines.ts'
import { shorten } from '../telling/layout.ts'
import { textOf } from '../telling/text-of.ts'
import type { FilmFinder } from './film-finder.ts'
import { type Command, commandHelp, type Who } from './parse-command.ts'

/** What commands work on. */
export interface Shell {
  readonly stage: Stage
  readonly finder: FilmFinder
}

const both: readonly Who[] = ['ana', 'ben']

/** Does what a command says and tells what came of it. */
export async function performCommand(
  command: Exclude<Command, { kind: 'quit' }>,
  shell: Shell,
): Promise<void> {
  const { stage } = shell
  const { tell } = stage.parts
  switch (command.kind) {
    case 'nothing':
      return
    case 'unclear':
      return tell.say(command.because)
    case 'help':
      return tell.list(commandHelp.map(([words, meaning]) => [words, tell.dim(meaning)]))
    case 'find':
      return tellFound(shell, command.text)
    case 'show':
    case 'history':
      return tellFilm(shell, command)
    case 'status':
      return tellStatus(shell)
    case 'conflicts':
      return tellConflicts(shell)
    case 'settle':
      return settle(shell, command)
    case 'outbox':
      for (const who of command.who === undefined ? both : [command.who]) await tellOutbox(shell, who)
      return
    case 'sync':
      for (const who of command.who === undefined ? both : [command.who]) await syncNow(shell, who)
      return tellStatus(shell)
    case 'airplane':
      stage.parts[command.who].link.setAirplane(command.isOn)
      if (!command.isOn) await syncNow(shell, command.who)
      return tellStatus(shell)
    case 'add':
      return addFilm(shell, command)
    case 'restore':
    case 'set':
    case 'stock':
    case 'tag':
    case 'note':
    case 'delete':
      return editFilm(shell, command)
    default:
      return assertNever(command)
  }
}

type Edit = Extract<Command, { kind: 'set' | 'stock' | 'tag' | 'note' | 'delete' | 'restore' }>

async function editFilm({ stage, finder }: Shell, command: Edit): Promise<void> {
  const device = stage.parts[command.who]
  const found = await finder.find(device.db, command.film)
  if (typeof found === 'string') return stage.parts.tell.say(found)
  await applyEdit(device, found.film, command)
  const film = await device.db.films.get(found.film.id)
  const state = film === undefined ? 'deleted' : film._state
  const { tell } = stage.parts
  tell.say(`${tell.tint(device.tone, device.person.name)} ${found.number} ${found.film.title}: ${state}`)
}

async function applyEdit({ db }: Device, film: Film, command: Edit): Promise<void> {
  const { id } = film
  switch (command.kind) {
    case 'set':
      await db.films.update(id, { [command.field]: command.value })
      return
    case 'stock':
      await db.films.increment(id, { stock: command.change })
      return
    case 'tag':
      if (command.isAdded) await db.films.add(id, { tags: [command.tag] })
      else await db.films.remove(id, { tags: [command.tag] })
      return
    case 'note':
      await db.films.update(id, {
        notes: film.notes === '' ? command.text : `${film.notes}\n\n${command.text}`,
      })
      return
    case 'delete':
      await db.films.delete(id)
      return
    case 'restore':
      return restoreField(db, film, command.field)
    default:
      return assertNever(command)
  }
}

async function restoreField(db: Device['db'], film: Film, field: string): Promise<void> {
  const { lost } = await db.history('films', film.id)
  const newest = lost.find((candidate) => candidate.field === field)
  if (newest !== undefined) await db.films.update(film.id, { [field]: newest.value })
}

async function addFilm({ stage }: Shell, { who, title }: Extract<Command, { kind: 'add' }>): Promise<void> {
  const device = stage.parts[who]
  await device.db.films.insert({ title, price: '9.99', shelf: 'new', branch: 'harbour' })
  stage.parts.tell.say(`${device.person.name} added ${title}; "find ${title}" tells its number.`)
}

async function tellFound({ stage, finder }: Shell, text: string): Promise<void> {
  const { tell } = stage.parts
  const found = await finder.search(stage.parts.ana.db, text)
  if (found.length === 0) return tell.say(`No title holds "${text}".`)
  tell.list(
    found.map(({ number, film }) => [
      tell.dim(String(number)),
      `${film.title} (${film.year ?? '?'})`,
      film.price,
      `${film.stock} in stock`,
    ]),
  )
}

async function tellFilm(
  shell: Shell,
  command: Extract<Command, { kind: 'show' | 'history' }>,
): Promise<void> {
  const { stage, finder } = shell
  const { ana, ben, tell } = stage.parts
  let found = await finder.find(ana.db, command.film)
  // A film that Ben made offline is only on his device.
  if (typeof found === 'string') found = await finder.find(ben.db, command.film)
  if (typeof found === 'string') return tell.say(found)
  tell.say(`${found.number} ${tell.strong(found.film.title)}`)
  if (command.kind === 'history') await stage.tellHistory(found.film.id)
  else
    await stage.compare(found.film.id, ['title', 'description', 'price', 'stock', 'tags', 'notes', 'shelf'])
}

async function tellStatus({ stage }: Shell): Promise<void> {
  const { tell } = stage.parts
  const rows = both.map(async (who) => {
    const { db, link, person, tone } = stage.parts[who]
    const { pendingCount, deadLetterCount, conflictCount } = await db.status.get()
    return [
      tell.tint(tone, person.name),
      link.isAirplane ? 'airplane mode' : 'online',
      `on their way ${pendingCount}`,
      `conflicts ${conflictCount}`,
      `refused ${deadLetterCount}`,
    ]
  })
  tell.list(await Promise.all(rows))
}

async function tellConflicts({ stage }: Shell): Promise<void> {
  const { ana, tell } = stage.parts
  const conflicts = await ana.db.conflicts.list()
  if (conflicts.length === 0) return tell.say('Nothing waits for a decision.')
  for (const [index, conflict] of conflicts.entries()) {
    const film = await ana.db.films.get(conflict.record)
    tell.item(String(index + 1), [film?.title ?? 'a deleted film', ...conflictLines(tell, conflict)])
  }
  tell.say(tell.dim('settle <n> mine keeps the author’s values, theirs the server’s.'))
}

async function settle({ stage }: Shell, command: Extract<Command, { kind: 'settle' }>): Promise<void> {
  const { tell } = stage.parts
  const { db, person } = stage.parts[command.who]
  const conflict = (await db.conflicts.list())[command.number - 1]
  if (conflict === undefined) return tell.say(`There is no conflict ${command.number}. Try "conflicts".`)
  if (command.choice === 'mine') await db.conflicts.keepMine(conflict.id)
  else if (command.choice === 'theirs') await db.conflicts.keepTheirs(conflict.id)
  else await db.conflicts.merge(conflict.id, command.choice.values)
  tell.say(`${person.name} settled it.`)
}

async function tellOutbox({ stage }: Shell, who: Who): Promise<void> {
  const { tell } = stage.parts
  const { db, person, tone } = stage.parts[who]
  const entries = await db.outbox.list()
  const rows = entries.map((entry) => [
    tell.dim(String(entry.seq)),
    entry.status,
    entry.op,
    shorten(describePayload(entry.payload), 40),
    tell.dim(entry.error?.message ?? ''),
  ])
  tell.say(rows.length === 0 ? `${tell.tint(tone, person.name)}: nothing` : tell.tint(tone, person.name))
  tell.list(rows)
}

function describePayload(payload: Payload): string {
  const changes = Object.entries(payload.changes).map(([field, value]) => `${field} ${textOf(value)}`)
  const increments = Object.entries(payload.increments).map(
    ([field, by]) => `${field} ${by > 0 ? '+' : ''}${by}`,
  )
  const additions = Object.entries(payload.additions).map(
    ([field, members]) => `${field} + ${members.join(', ')}`,
  )
  const removals = Object.entries(payload.removals).map(
    ([field, members]) => `${field} − ${members.join(', ')}`,
  )
  return [...changes, ...increments, ...additions, ...removals].join('; ')
}

/** Syncs unless the device is in airplane mode, where it would wait for a network. */
async function syncNow({ stage }: Shell, who: Who): Promise<void> {
  const { db, link } = stage.parts[who]
  if (!link.isAirplane) await db.sync.now()
}
