import type { Engine } from '../engine.ts'
import type { Consumer } from './consumers.ts'
import type { EventContext } from './event-context.ts'
import { type RunningEvents, startEvents } from './events.ts'
import { type RetentionOptions, startRetention } from './retention.ts'

/** What goes on beside requests. */
export interface Background {
  readonly events: RunningEvents
  /** Ends events and retention. */
  readonly close: () => Promise<void>
}

/** What it takes. */
export interface BackgroundSetup extends EventContext {
  readonly engine: Pick<Engine, 'subscribe' | 'collectTombstones'>
  readonly consumers: readonly Consumer[]
  readonly retention: RetentionOptions | undefined
}

/** Starts telling of events and forgetting what is old. */
export async function startBackground(setup: BackgroundSetup): Promise<Background> {
  const events = await startEvents(setup)
  const retention = startRetention({ ...setup, options: setup.retention })
  return {
    events,
    close: async () => {
      await Promise.all([events.close(), retention.close()])
    },
  }
}
