import type { Life } from './life.ts'
import type { Link } from './link.ts'

/** Who sends. */
export interface Sender {
  readonly name: string
  readonly user: string
  readonly life: Life
  readonly link: Link
}
