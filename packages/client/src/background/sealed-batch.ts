import { isObject } from '@holdfast/core'

import type { SyncRequest } from '../transport/make-request.ts'

/** The tag of the `sync` event that pages ask for when something lies sealed. */
export const backgroundTag = 'holdfast'

/** A token that an app lets lie beside a sealed batch. */
export interface SealedToken {
  readonly token: string
  /** ms since 1970, by the clock of this device. */
  readonly expiresAtMs: number
}

/**
 * One push of a device as it would send it, put away for somebody who sends it while no tab is open. Its mutations are
 * in the database, marked as offered, and are settled there and nowhere else.
 */
export interface SealedBatch {
  readonly format: 1
  /** Of this sealing. */
  readonly id: string
  /** Of the database. */
  readonly name: string
  readonly device: string
  /** Whose work it is. */
  readonly account: string
  readonly request: SyncRequest
  /** Device numbers of its mutations. */
  readonly seqs: readonly number[]
  /** ISO time. */
  readonly sealedAt: string
  readonly token: SealedToken | null
}

/** Reads what was stored; undefined when it is of another version of Holdfast, or damaged. */
export function parseSealedBatch(value: unknown): SealedBatch | undefined {
  if (!isObject(value) || value['format'] !== 1) return undefined
  const { id, name, device, account, request, seqs, token } = value
  const isNamed = [id, name, device, account].every((text) => typeof text === 'string')
  const isWhole =
    isObject(request) &&
    typeof request['server'] === 'string' &&
    typeof request['body'] === 'string' &&
    Array.isArray(seqs) &&
    (token === null || (isObject(token) && typeof token['token'] === 'string'))
  // Of this format, and nobody else writes it.
  return isNamed && isWhole ? (value as unknown as SealedBatch) : undefined
}
