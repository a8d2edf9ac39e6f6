import type { LibraryClient } from '../devices.ts'
import type { Film } from '../stage.ts'

/** A film with the number it goes by at the prompt. */
export interface NumberedFilm {
  readonly number: number
  readonly film: Film
}

/** Films that are listed at most. */
const listed = 12

/**
 * Finds films by number or by the beginning of their title. Numbers are given once, in the order of the ids, which is
 * the catalogue's; films that come later get the next ones.
 */
export class FilmFinder {
  readonly #idByNumber: string[] = []
  readonly #numberById = new Map<string, number>()

  /** Films whose title holds `text`, at most a dozen, by title. */
  async search(db: LibraryClient, text: string): Promise<readonly NumberedFilm[]> {
    const films = await db.query((q) =>
      q.selectFrom('films').selectAll().where('title', 'like', `%${text}%`).orderBy('title').limit(listed),
    )
    await this.#number(db)
    return films.map((film) => ({ film, number: this.numberOf(film.id) }))
  }

  /** The one film that is meant; a text says why there is none. */
  async find(db: LibraryClient, wanted: string): Promise<NumberedFilm | string> {
    await this.#number(db)
    const id = this.#idByNumber[Number(wanted) - 1]
    const byNumber = id === undefined ? undefined : await db.films.get(id)
    if (byNumber !== undefined) return { film: byNumber, number: Number(wanted) }
    const films = await this.search(db, wanted)
    const lower = wanted.toLowerCase()
    const exact = films.filter(({ film }) => film.title.toLowerCase() === lower)
    const starting = films.filter(({ film }) => film.title.toLowerCase().startsWith(lower))
    const candidates = [exact, starting, films].find((list) => list.length > 0) ?? []
    const [only, ...others] = candidates
    if (only === undefined) return `There is no film "${wanted}" here.`
    if (others.length === 0) return only
    const names = candidates.map(({ film, number }) => `${number} ${film.title} (${film.year ?? '?'})`)
    return `Which one? ${names.join(', ')}`
  }

  /** The number of a film that was found before. */
  numberOf(id: string): number {
    return this.#numberById.get(id) ?? 0
  }

  async #number(db: LibraryClient): Promise<void> {
    const rows = await db.query((q) => q.selectFrom('films').select('id').orderBy('id'))
    for (const { id } of rows) {
      if (!this.#numberById.has(id)) this.#numberById.set(id, this.#idByNumber.push(id))
    }
  }
}
