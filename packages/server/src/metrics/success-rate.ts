/** A share over the newest events. */
export interface SuccessRate {
  add(isSuccess: boolean): void
  /** From 0 to 1; 1 before there was any event. */
  value(): number
}

/** Enough to be calm, few enough to notice within a minute of trouble. */
const windowSize = 1_000

/** The share of successes among the newest 1,000 events, in constant memory. Rules: OP-6. */
export function createSuccessRate(): SuccessRate {
  const outcomes = new Uint8Array(windowSize)
  let addedCount = 0
  let successCount = 0
  return {
    add: (isSuccess) => {
      const slot = addedCount % windowSize
      if (addedCount >= windowSize) successCount -= outcomes[slot] ?? 0
      outcomes[slot] = isSuccess ? 1 : 0
      successCount += isSuccess ? 1 : 0
      addedCount++
    },
    value: () => (addedCount === 0 ? 1 : successCount / Math.min(addedCount, windowSize)),
  }
}
