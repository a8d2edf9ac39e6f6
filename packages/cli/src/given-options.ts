/** Options as given; each command takes those it knows. */
export interface GivenOptions {
  readonly schema?: string
  readonly port?: string
  readonly host?: string
  readonly data?: string
  readonly database?: string
  readonly tables?: string
  readonly 'dry-run'?: boolean
  readonly scopes?: string
  readonly verbose?: boolean
  /** A file where the command writes one. */
  readonly json?: boolean | string
  readonly minutes?: string
  readonly seeds?: string
  readonly seed?: string
  readonly devices?: string
  readonly days?: string
  readonly edits?: string
  readonly offline?: string
  readonly faults?: string
  readonly concurrency?: string
  readonly help?: boolean
  readonly version?: boolean
}
