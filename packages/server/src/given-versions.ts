import { assert, isObject } from '@holdfast/core'
import type { Engine } from './engine.ts'
import type { Row } from './given-database.ts'

/** Every version that is written down somewhere. */
export const versionsSql =
  'SELECT version FROM holdfast_audit UNION SELECT version FROM holdfast_conflicts UNION SELECT version FROM holdfast_feed'

/**
 * Names versions by their rank: 1 is the lowest that was ever given, 2 the next. A store may leave gaps between its
 * versions; tests speak of order and equality alone, and so say the same of every store.
 */
export class Ranks {
  readonly #read: () => Promise<readonly Row[]>
  #versions: readonly number[] = []

  constructor(read: () => Promise<readonly Row[]>) {
    this.#read = read
  }

  /** Those once seen keep their rank, also when nothing has them any more. */
  async refresh(): Promise<void> {
    const found = (await this.#read()).flatMap(({ version }) =>
      typeof version === 'number' ? [version] : [],
    )
    this.#versions = [...new Set([...this.#versions, ...found])].sort((left, right) => left - right)
  }

  rankOf = (version: number): number => {
    if (version === 0) return 0
    const index = this.#versions.indexOf(version)
    if (index >= 0) return index + 1
    // Of a write that was undone: no other has a later one.
    assert(version > (this.#versions.at(-1) ?? 0), `version ${version} is written down nowhere`)
    return this.#versions.length + 1
  }

  /** A rank that was not reached yet is above all versions. */
  versionOf = (rank: number): number => {
    if (rank === 0) return 0
    const known = this.#versions.length
    return this.#versions[rank - 1] ?? (this.#versions.at(-1) ?? 0) + rank - known
  }
}

/** The same value with every version in it, also inside of texts, called otherwise. */
export function renameVersions(value: unknown, rename: (version: number) => number): unknown {
  if (Array.isArray(value)) return value.map((each: unknown) => renameVersions(each, rename))
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      if ((name === 'version' || name === 'baseVersion') && typeof member === 'number')
        return [name, rename(member)]
      // Versions of a history that was lost are not of this database.
      if (name === 'was') return [name, member]
      return [name, name === 'text' ? renamedText(member, rename) : renameVersions(member, rename)]
    }),
  )
}

function renamedText(text: unknown, rename: (version: number) => number): unknown {
  return typeof text === 'string' ? JSON.stringify(renameVersions(JSON.parse(text), rename)) : text
}

const speaking = new Set<string | symbol>([
  'push',
  'pull',
  'snapshot',
  'apply',
  'record',
  'list',
  'history',
  'resolve',
  'escrow',
  'decideEscrow',
  'changesSince',
] satisfies (keyof Engine)[])

/** The engine, which is told ranks and answers with ranks, once the database is `settled`. */
export function withRanks(engine: Engine, ranks: Ranks, settled: () => Promise<void>): Engine {
  return new Proxy(engine, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      if (name === 'collectTombstones')
        return (options: Parameters<Engine['collectTombstones']>[0]) =>
          settled().then(() => target.collectTombstones(options))
      if (typeof member !== 'function' || !speaking.has(name)) return member
      return async (...told: readonly unknown[]): Promise<unknown> => {
        if (name === 'pull' || name === 'snapshot' || name === 'changesSince') await settled()
        await ranks.refresh()
        const args = told.map((each) => renameVersions(each, ranks.versionOf))
        const answer: unknown = await Reflect.apply(member, target, args)
        await ranks.refresh()
        return name === 'record' ? renamedText(answer, ranks.rankOf) : renameVersions(answer, ranks.rankOf)
      }
    },
  })
}
