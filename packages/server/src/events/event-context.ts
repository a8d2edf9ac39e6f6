import type { Environment, Limits } from '@holdfast/core'

import type { Logger } from '../engine.ts'
import type { Store } from '../store/store.ts'

/** What events are told with. */
export interface EventContext {
  readonly store: Store
  readonly env: Environment
  readonly limits: Limits
  readonly logger: Logger | undefined
}
