import { readFile } from 'node:fs/promises'

/** A disc title as the library takes it into stock. */
export interface CatalogueFilm {
  readonly title: string
  readonly description: string
  readonly director: string | null
  readonly genre: string | null
  readonly year: number | null
  readonly price: string
  readonly stock: number
  readonly tags: readonly string[]
  readonly notes: string
  readonly shelf: string
  readonly branch: Branch
}

/** What was found in the file and what had to be put right. The file is untidy on purpose: it is made for teaching. */
export interface Catalogue {
  readonly films: readonly CatalogueFilm[]
  /** Entries in the file, usable or not. */
  readonly found: number
  readonly repairs: {
    /** Entries without a title: the only ones that are left out. */
    readonly untitled: number
    /** Titles that are numbers in the file, such as 1941. */
    readonly numericTitles: number
    /** Titles whose accents were read in the wrong encoding, such as "LÈon". */
    readonly misreadTitles: number
    /** Years of the wrong century, such as 2025 for Ben-Hur. */
    readonly wrongCenturies: number
    /** Films whose date is the first second of Unix time, which means that nobody knew it. */
    readonly unknownDates: number
  }
}

/** Where the films come from, for the tour and for people. */
export const catalogueSource = 'vega-datasets 3.2.1, data/movies.json (npm, BSD-3-Clause)'

/** The branches of the library; a film is in one of them. */
export const branches = ['harbour', 'station'] as const
type Branch = (typeof branches)[number]

/** Reads and cleans the films of the npm package `vega-datasets`. Deterministic: the same films, whoever runs it. */
export async function readCatalogue(): Promise<Catalogue> {
  // The package exports one module, in build/; its data lies beside it.
  const packageEntry = import.meta.resolve('vega-datasets')
  const text = await readFile(new URL('../data/movies.json', packageEntry), 'utf8')
  const entries: unknown = JSON.parse(text)
  if (!Array.isArray(entries)) throw new Error('movies.json is not a list')
  return cleanCatalogue(entries)
}

/** Turns untidy entries into films, and counts what had to be put right. */
export function cleanCatalogue(entries: readonly unknown[]): Catalogue {
  const repairs = { untitled: 0, numericTitles: 0, misreadTitles: 0, wrongCenturies: 0, unknownDates: 0 }
  const films: CatalogueFilm[] = []
  for (const [index, entry] of entries.entries()) {
    const raw = readEntry(entry)
    if (raw.title === null) {
      repairs.untitled += 1
      continue
    }
    const title = tidyTitle(raw.title)
    const date = readYear(raw.releaseDate)
    if (raw.hasNumericTitle) repairs.numericTitles += 1
    if (title !== squeeze(raw.title)) repairs.misreadTitles += 1
    if (date.isWrongCentury) repairs.wrongCenturies += 1
    if (date.isUnknown) repairs.unknownDates += 1
    films.push(filmOf({ raw, title, year: date.year, index }))
  }
  return { films, found: entries.length, repairs }
}

interface RawFilm {
  readonly title: string | null
  readonly hasNumericTitle: boolean
  readonly releaseDate: string
  readonly director: string | null
  readonly genre: string | null
  readonly source: string | null
  readonly creativeType: string | null
  readonly distributor: string | null
  readonly certificate: string | null
  readonly minutes: number | null
  readonly votes: number
}

function readEntry(entry: unknown): RawFilm {
  const values: Readonly<Record<string, unknown>> =
    typeof entry === 'object' && entry !== null ? Object.fromEntries(Object.entries(entry)) : {}
  const title = values['Title']
  return {
    title: typeof title === 'number' ? String(title) : textOrNull(title),
    hasNumericTitle: typeof title === 'number',
    releaseDate: textOrNull(values['Release Date']) ?? '',
    director: textOrNull(values['Director']),
    genre: textOrNull(values['Major Genre']),
    source: textOrNull(values['Source']),
    creativeType: textOrNull(values['Creative Type']),
    distributor: textOrNull(values['Distributor']),
    certificate: textOrNull(values['MPAA Rating']),
    minutes: numberOrNull(values['Running Time min']),
    votes: numberOrNull(values['IMDB Votes']) ?? 0,
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

/** What Windows-1252 letters became when they were read as Mac Roman: "é" is 0xE9 in one and "È" is 0xE9 in the other. */
const misreadLetters: Readonly<Record<string, string>> = {
  '·': 'á',
  '‡': 'à',
  '‰': 'ä',
  È: 'é',
  Ë: 'è',
  Í: 'ê',
  Î: 'ë',
  Û: 'ó',
  Ù: 'ô',
  '˘': 'ù',
  Ω: '½',
  Ö: '…',
}

function tidyTitle(title: string): string {
  return squeeze(title).replace(/[^\x20-\x7e]/g, (letter) => misreadLetters[letter] ?? letter)
}

function squeeze(text: string): string {
  return text.trim().replace(/\s+/g, ' ')
}

/** The newest films in the file are of 2011; what claims to be later was a two-digit year read in the wrong century. */
const newestYear = 2011

function readYear(date: string): { year: number | null; isWrongCentury: boolean; isUnknown: boolean } {
  const year = Number(/ (\d{4})$/.exec(date)?.[1] ?? Number.NaN)
  const isUnknown = Number.isNaN(year) || date === 'Dec 31 1969'
  const isWrongCentury = !isUnknown && year > newestYear
  if (isUnknown) return { year: null, isWrongCentury, isUnknown }
  return { year: isWrongCentury ? year - 100 : year, isWrongCentury, isUnknown }
}

interface FilmParts {
  readonly raw: RawFilm
  readonly title: string
  readonly year: number | null
  readonly index: number
}

/** Price, stock, shelf and branch are the library's own; they follow from the entry, so that every run has the same. */
function filmOf({ raw, title, year, index }: FilmParts): CatalogueFilm {
  const euros = 4 + (raw.votes % 17)
  return {
    title,
    description: describe(raw),
    director: raw.director,
    genre: raw.genre,
    year,
    price: `${euros}.${raw.votes % 2 === 0 ? '99' : '50'}`,
    stock: 2 + (index % 23),
    tags: tagsOf(raw, year),
    notes: notesOf(raw),
    shelf: `${String.fromCharCode(65 + (index % 26))}-${String(1 + (index % 40)).padStart(2, '0')}`,
    branch: index % 2 === 0 ? 'harbour' : 'station',
  }
}

function describe(raw: RawFilm): string {
  const kind = raw.creativeType ?? raw.genre ?? 'Film'
  const by = raw.director === null ? '' : ` by ${raw.director}`
  const source = raw.source === null ? '' : `, ${raw.source.toLowerCase()}`
  return `${kind}${by}${source}.`
}

function tagsOf(raw: RawFilm, year: number | null): readonly string[] {
  const tags = [raw.genre, raw.creativeType].flatMap((text) => text?.toLowerCase().split('/') ?? [])
  if (year !== null) tags.push(`${Math.floor(year / 10) * 10}s`)
  return [...new Set(tags)].sort()
}

function notesOf(raw: RawFilm): string {
  const paragraphs = [`Distributor: ${raw.distributor ?? 'unknown'}`]
  if (raw.minutes !== null) paragraphs.push(`Running time: ${raw.minutes} minutes`)
  if (raw.certificate !== null) paragraphs.push(`Certificate: ${raw.certificate}`)
  return paragraphs.join('\n\n')
}
