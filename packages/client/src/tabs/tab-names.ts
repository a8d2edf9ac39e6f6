/** Names of locks and channels of one database; the same origin may have several. */

/** Held by the worker that leads. */
export function leaderLock(database: string): string {
  return `holdfast:${database}`
}

/** Held by a tab for as long as it lives. */
export function tabLock(database: string, tab: string): string {
  return `holdfast:${database}:tab:${tab}`
}

/** Where leaders announce themselves and tabs ask for them. */
export function commonChannel(database: string): string {
  return `holdfast:${database}`
}

/** Between one tab and whoever leads. */
export function tabChannel(database: string, tab: string): string {
  return `holdfast:${database}:${tab}`
}
