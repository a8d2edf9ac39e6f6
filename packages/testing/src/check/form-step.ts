/** Somebody is about to read what a form is to show, has read it, is about to save what they changed in it, or has saved it, or not. */
export interface FormStep {
  readonly kind: 'form'
  readonly atMs: number
  readonly disk: string
  readonly form: number
  readonly step: 'opening' | 'opened' | 'saving' | 'saved'
  /** As in `items/r1`; null before it is read. */
  readonly record: string | null
}
