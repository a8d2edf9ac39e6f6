/**
 * What `held_by` of an entry says when it names no conflict. `held` for an identity: its number or key was used by another
 * copy of this database, and it goes out under a new device once everything else is settled.
 */
export const newIdentity = 'identity'

/**
 * On an `answered` entry: the server had decided about it before. Another copy of this database may have acknowledged
 * the outcome, so that no pull need name it; it is over with the next flip. `known`: under another number, perhaps;
 * `repeated`: under this one, so that a server that does not know the number has lost it; `expired`: so long ago that the
 * server remembers the number alone.
 */
export const knownBefore = ['known', 'repeated', 'expired'] as const

/** How the server knows of an entry that it had decided about before. */
export type KnownBefore = (typeof knownBefore)[number]

/** Whether `held_by` says so. */
export function isKnownBefore(heldBy: string | null): boolean {
  return knownBefore.some((reason) => reason === heldBy)
}
