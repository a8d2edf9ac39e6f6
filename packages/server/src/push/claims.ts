import {
  coveredIds,
  countRanges,
  type ErrorCode,
  overlapCount,
  parseRanges,
  type Ranges,
  rangesOf,
  unionRanges,
} from '@holdfast/core'
import { addRanges, intersectRanges, subtractRanges } from '../devices/range-sets.ts'
import type { StoredOutcome } from '../store/store.ts'
import type { Offer } from './offer.ts'

/** Whose turn a mutation is: not seen before, decided before, or an identity used twice. */
export type Claim =
  | { readonly kind: 'new' }
  | { readonly kind: 'duplicate'; readonly outcome: StoredOutcome }
  | {
      readonly kind: 'refused'
      readonly code: Extract<ErrorCode, 'SEQ_REUSED' | 'KEY_REUSED' | 'COVERS_OVERLAP' | 'OUTCOME_EXPIRED'>
    }

/** An outcome, and the offered numbers that it decided for the same mutations. */
export interface Known {
  readonly outcome: StoredOutcome
  readonly covers: Ranges
}

/**
 * The numbers one device and the keys one user has used, as far as a batch asks for them: a copy of a device may go by
 * another name since. Rules: PU-4 to PU-7, PU-38.
 */
export class Claims {
  #finals: Ranges
  readonly #byId = new Map<string, StoredOutcome>()
  /** The keys of what was folded included, and those under other names. */
  readonly #decided = new Map<string, StoredOutcome>()
  readonly #stored: readonly StoredOutcome[]

  /** `outcomes`: of the device; `decided`: of any device of the user, by key. */
  constructor(finals: Ranges, outcomes: readonly StoredOutcome[], decided: readonly StoredOutcome[]) {
    this.#finals = finals
    this.#stored = outcomes
    for (const outcome of decided) this.#noteKeys(outcome)
    for (const outcome of outcomes) this.#note(outcome)
  }

  /** Final numbers, those of this batch included. */
  get finals(): Ranges {
    return this.#finals
  }

  outcomeOf(id: string): StoredOutcome | undefined {
    return this.#byId.get(id)
  }

  /** A key or number that stands twice in one unit is an identity used twice as well. */
  claimUnit(unit: readonly Offer[]): ReadonlyMap<Offer, Claim> {
    const [only] = unit
    if (only && unit.length === 1) return new Map([[only, this.#claim(only)]])
    const claims = new Map<Offer, Claim>()
    const ids = new Set<string>()
    let taken: Ranges = []
    for (const offer of unit) {
      const { id, covers } = offer
      const repeated = overlapCount(taken, covers)
      if (id !== '' && ids.has(id)) claims.set(offer, { kind: 'refused', code: 'KEY_REUSED' })
      else if (repeated === 0) claims.set(offer, this.#claim(offer))
      else
        claims.set(offer, {
          kind: 'refused',
          code: repeated < countRanges(covers) ? 'COVERS_OVERLAP' : 'SEQ_REUSED',
        })
      ids.add(id)
      taken = unionRanges([...taken, ...covers])
    }
    return claims
  }

  #claim({ id, seq, covers, folded, hash }: Offer): Claim {
    const known = this.#byId.get(id)
    const finalCount = overlapCount(this.#finals, covers)
    if (finalCount === 0) {
      const isDecided = [id, ...folded].some((key) => this.#decided.has(key))
      return isDecided ? { kind: 'refused', code: 'KEY_REUSED' } : { kind: 'new' }
    }
    if (known) {
      const isSame = known.seq === seq && known.hash === hash
      return isSame ? { kind: 'duplicate', outcome: known } : { kind: 'refused', code: 'KEY_REUSED' }
    }
    const told = unionRanges(this.#overlapping(covers).flatMap((outcome) => parseRanges(outcome.covers)))
    if (overlapCount(told, intersectRanges(covers, this.#finals)) < finalCount)
      return { kind: 'refused', code: 'OUTCOME_EXPIRED' }
    if (finalCount < countRanges(covers)) return { kind: 'refused', code: 'COVERS_OVERLAP' }
    return { kind: 'refused', code: 'SEQ_REUSED' }
  }

  /**
   * What a device needs to know of an offer that was refused for its numbers or its key: what was decided about the same
   * mutations, sent by another copy of its database, and which of the numbers are free. Rules: PU-35, PU-38.
   */
  explain({ id, covers, folded }: Offer): { readonly known: readonly Known[]; readonly free: Ranges } {
    const offered = [...coveredIds({ id, covers, folded })]
    const decided = [id, ...folded].flatMap((key) => this.#decided.get(key) ?? [])
    const outcomes = new Set([...this.#overlapping(covers), ...decided])
    const known = [...outcomes].flatMap((outcome): Known[] => {
      const keys = new Set(coveredIds({ ...outcome, covers: parseRanges(outcome.covers) }).values())
      // The key says that it is the same mutation; a copy may have moved it to another number since.
      const same = offered.filter(([, key]) => keys.has(key)).map(([number]) => number)
      return same.length === 0 ? [] : [{ outcome, covers: rangesOf(same) }]
    })
    const taken = unionRanges([...this.#finals, ...known.flatMap((each) => each.covers)])
    return { known, free: subtractRanges(covers, taken) }
  }

  #overlapping(covers: Ranges): readonly StoredOutcome[] {
    const all = new Map([...this.#stored, ...this.#byId.values()].map((outcome) => [outcome.seq, outcome]))
    return [...all.values()].filter((outcome) => overlapCount(parseRanges(outcome.covers), covers) > 0)
  }

  /** From here on the offer's numbers are final. */
  settle(outcomes: readonly StoredOutcome[]): void {
    for (const { seq, covers } of outcomes) {
      const numbers: Ranges = covers === String(seq) ? [[seq, seq]] : parseRanges(covers)
      this.#finals = addRanges(this.#finals, numbers)
    }
    for (const outcome of outcomes) this.#note(outcome)
  }

  #note(outcome: StoredOutcome): void {
    this.#byId.set(outcome.id, outcome)
    this.#noteKeys(outcome)
  }

  #noteKeys(outcome: StoredOutcome): void {
    for (const key of [outcome.id, ...outcome.folded]) if (key !== '') this.#decided.set(key, outcome)
  }
}
