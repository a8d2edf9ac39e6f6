/** JSON as it is stored. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** Field values by name. */
export type Values = { readonly [name: string]: Json }

/** What a mutation does, as it stands in the outbox. */
export interface Payload {
  readonly changes: Values
  readonly base: Values | null
  readonly increments: { readonly [field: string]: number }
  readonly additions: { readonly [field: string]: readonly (string | number)[] }
  readonly removals: { readonly [field: string]: readonly (string | number)[] }
}
