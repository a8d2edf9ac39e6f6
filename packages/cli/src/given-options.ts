/** Options as given; each command takes those it knows. */
export interface GivenOptions {
  readonly schema?: string
  readonly port?: string
  readonly data?: string
  readonly scopes?: string
  readonly verbose?: boolean
  readonly json?: boolean
  readonly help?: boolean
  readonly version?: boolean
}
