import type { PushResult, Verdict } from '@holdfast/core'
import type { EngineStats } from '../engine.ts'
import type { Offer } from './offer.ts'

/** Verdicts since the process started. */
export class VerdictCounts {
  readonly #verdicts = new Map<string, { collection: string; status: Verdict; count: number }>()
  readonly #rejections = new Map<string, number>()
  #duplicates = 0

  /** Results in the order of their offers. */
  add(results: readonly PushResult[], offers: readonly Offer[]): void {
    for (const [index, { status, error, duplicate }] of results.entries()) {
      if (duplicate) {
        this.#duplicates++
        continue
      }
      const collection = offers[index]?.mutation?.collection ?? ''
      const key = `${status} ${collection}`
      const known = this.#verdicts.get(key) ?? { collection, status, count: 0 }
      this.#verdicts.set(key, { ...known, count: known.count + 1 })
      if (error && status === 'rejected')
        this.#rejections.set(error.code, (this.#rejections.get(error.code) ?? 0) + 1)
    }
  }

  read(): Pick<EngineStats, 'verdicts' | 'rejections' | 'duplicates'> {
    return {
      verdicts: [...this.#verdicts.values()],
      rejections: [...this.#rejections].map(([code, count]) => ({ code, count })),
      duplicates: this.#duplicates,
    }
  }
}
