/** What the platform says of this moment. What it does not say is no reason to save. */
export interface Conditions {
  /** The person asked their browser or system to save data. */
  readonly savesData?: boolean
  /** The network is paid for by what is sent, as far as anybody can tell. */
  readonly isMetered?: boolean
  readonly battery?: {
    /** In [0, 1]. */
    readonly level: number
    readonly isCharging: boolean
  }
}

/**
 * What waits while something is to be saved: collections whose `priority` in the schema is lower than the number; null
 * lets nothing wait. What waits goes after a day at the latest, with `sync.now()`, and with what needs it.
 */
export interface SyncPolicy {
  /** Under a data saver. 0 unless said: collections with a negative priority wait. */
  readonly dataSaver?: number | null
  /** On a metered network. null unless said. */
  readonly metered?: number | null
  /** On a low battery that is not charging. 0 unless said. */
  readonly lowBattery?: number | null
  /** What counts as low, in [0, 1]; 0.2 unless said. */
  readonly lowBatteryLevel?: number
}

/** Why something waits. */
export type SavingCause = 'dataSaver' | 'lowBattery' | 'metered'

/** What follows from the conditions under a policy. */
export interface Saving {
  /** The cause that holds back most; null when nothing is held back. */
  readonly cause: SavingCause | null
  /** Collections of a lower priority wait. */
  readonly leastPriority: number
}

const nothing: Saving = { cause: null, leastPriority: Number.NEGATIVE_INFINITY }

/** Judges conditions by a policy. Pure. Rules: SY-28. */
export function savingOf(policy: SyncPolicy, conditions: Conditions): Saving {
  const { dataSaver = 0, metered = null, lowBattery = 0, lowBatteryLevel = 0.2 } = policy
  const { savesData = false, isMetered = false, battery } = conditions
  const isLow = battery !== undefined && !battery.isCharging && battery.level <= lowBatteryLevel
  const causes: readonly (readonly [SavingCause, boolean, number | null])[] = [
    ['dataSaver', savesData, dataSaver],
    ['lowBattery', isLow, lowBattery],
    ['metered', isMetered, metered],
  ]
  return causes.reduce<Saving>(
    (most, [cause, holds, least]) =>
      holds && least !== null && least > most.leastPriority ? { cause, leastPriority: least } : most,
    nothing,
  )
}
