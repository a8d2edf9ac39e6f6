import type { HostOptions } from './tab-messages.ts'

/** A database that syncs with nobody, as a page of a test asks for it. */
export const givenHost: Omit<HostOptions, 'name' | 'tab'> = {
  server: null,
  account: null,
  durability: 'full',
  sync: {},
  hasAuth: false,
  hasSealedTokens: false,
  seals: false,
}
