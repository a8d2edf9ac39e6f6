/** What came of one check. `note`: nothing is broken, but somebody should know. */
export interface Finding {
  readonly kind: 'well' | 'ill' | 'note'
  readonly text: string
  /** What to do about it; always there when it is ill. */
  readonly remedy?: string
}
