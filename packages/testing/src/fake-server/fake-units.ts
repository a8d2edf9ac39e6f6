import { isObject } from '@holdfast/core'

/** Neighbours with the same group are decided together. */
export function unitsOf(mutations: readonly unknown[]): unknown[][] {
  const units: unknown[][] = []
  let group: unknown = null
  for (const mutation of mutations) {
    const own = isObject(mutation) ? (mutation['group'] ?? null) : null
    if (own !== null && own === group) units.at(-1)?.push(mutation)
    else units.push([mutation])
    group = own
  }
  return units
}

/** Whether its author lost the right to the record. */
export function isForEscrow(raw: unknown): boolean {
  return isObject(raw) && raw['escrow'] === true
}

/** What a repeat is compared by: whether it is for escrow is no part of it. */
export function sentText(raw: unknown): string {
  return JSON.stringify(isObject(raw) ? { ...raw, escrow: undefined } : raw)
}
