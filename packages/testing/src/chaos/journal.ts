import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

/** One write of the app: what it would see lost, doubled or torn. Values and tags are unique in a run. */
export type Deed =
  | { readonly kind: 'item'; readonly item: string; readonly value: string; readonly amount: number }
  | { readonly kind: 'count'; readonly item: string; readonly amount: number }
  | { readonly kind: 'label'; readonly item: string; readonly value: string }
  | { readonly kind: 'tag' | 'untag'; readonly item: string; readonly tag: string }
  | { readonly kind: 'note' | 'body'; readonly note: string; readonly value: string }
  | { readonly kind: 'erase'; readonly note: string }
  /** Two records and a count, in one transaction. */
  | {
      readonly kind: 'pair'
      readonly pair: string
      readonly value: string
      readonly item: string
      readonly amount: number
    }
  | { readonly kind: 'revalue'; readonly pair: string; readonly value: string }
  | { readonly kind: 'unpair'; readonly pair: string }
  /** `value`: what a person typed, for a record in dispute. */
  | {
      readonly kind: 'settle'
      readonly conflict: string
      readonly record: string
      readonly value: string | null
    }

/** `durable`: the app was told so. `refused`: it was told that nothing was written. `unknown`: it died before it heard. */
export type Fate = 'durable' | 'refused' | 'unknown'

/** A write and what the app was told of it. */
export interface JournalEntry {
  readonly deed: Deed
  readonly fate: Fate
  /** Why it was refused. */
  readonly code: string | null
}

/** What one process told of itself, in the order of its writes. */
export interface JournalText {
  readonly entries: readonly JournalEntry[]
  /** Transactions of which it read one half. */
  readonly torn: readonly string[]
  /** What somebody took back, of what no server ever had to rule on, as it was in the outbox. */
  readonly givenUp: readonly string[]
}

/**
 * The notebook of one process: a line before each write and one behind it, each with the kernel before the next
 * instruction, so that a kill takes nothing of it. A power cut might; nobody cuts the power here. Rules: SIM-65.
 */
export class Journal {
  readonly #file: number
  #count = 0

  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  /** To be called before the write; gives its number. */
  begin(deed: Deed): number {
    const n = this.#count++
    this.#line({ n, deed })
    return n
  }

  /** The write was acknowledged. */
  done(n: number): void {
    this.#line({ n, fate: 'durable' })
  }

  /** The write threw, so nothing of it may ever be seen. */
  refused(n: number, code: string): void {
    this.#line({ n, fate: 'refused', code })
  }

  /** The app read one half of a transaction. */
  torn(what: string): void {
    this.#line({ torn: what })
  }

  /** Somebody took back a write that no server had ruled on; with a record, it takes what was written on it. */
  gaveUp(payload: string): void {
    this.#line({ gaveUp: payload })
  }

  close(): void {
    closeSync(this.#file)
  }

  #line(value: object): void {
    writeSync(this.#file, `${JSON.stringify(value)}\n`)
  }
}

type Line =
  | { readonly n: number; readonly deed: Deed }
  | { readonly n: number; readonly fate: Fate; readonly code?: string }
  | { readonly torn: string }
  | { readonly gaveUp: string }

/** Reads a notebook back. A write without a second line is `unknown`. */
export function readJournal(path: string): JournalText {
  const entries: JournalEntry[] = []
  const torn: string[] = []
  const givenUp: string[] = []
  for (const text of readFileSync(path, 'utf8').split('\n')) {
    if (text === '') continue
    // Only `Journal` writes these files, a line at a time.
    const line = JSON.parse(text) as Line
    if ('torn' in line) torn.push(line.torn)
    else if ('gaveUp' in line) givenUp.push(line.gaveUp)
    else if ('deed' in line) entries[line.n] = { deed: line.deed, fate: 'unknown', code: null }
    else {
      const entry = entries[line.n]
      if (entry !== undefined) entries[line.n] = { ...entry, fate: line.fate, code: line.code ?? null }
    }
  }
  return { entries, torn, givenUp }
}
