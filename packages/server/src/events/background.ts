import type { AttachmentOptions } from '../attachments/attachment-options.ts'
import { startSweep } from '../attachments/sweep-attachments.ts'
import type { Engine, User } from '../engine.ts'
import { Ingest, type IngestParts } from '../queue/ingest.ts'
import type { Consumer } from './consumers.ts'
import { type RunningEvents, startEvents } from './events.ts'
import { type RetentionOptions, startRetention } from './retention.ts'

/** What goes on beside requests. */
export interface Background<U extends User> {
  readonly ingest: Ingest<U>
  readonly events: RunningEvents
  /** Ends events, retention and the sweep; the queue once `requests` are through as well; the engine last. */
  readonly close: (requests?: Promise<void>) => Promise<void>
}

/** What it takes. */
export interface BackgroundSetup<U extends User> extends IngestParts<U> {
  readonly engine: Engine<U>
  readonly consumers: readonly Consumer[]
  readonly retention: RetentionOptions | undefined
  readonly attachments: Required<AttachmentOptions> | undefined
}

/** Opens the queue, tells of events, and forgets what is old. Where one of them cannot start, all that did is closed, the engine too. */
export async function startBackground<U extends User>(setup: BackgroundSetup<U>): Promise<Background<U>> {
  const { engine } = setup
  const ingest = await Ingest.open(setup).catch(async (error: unknown) => {
    await engine.close()
    throw error
  })
  const events = await startEvents(setup).catch(async (error: unknown) => {
    await ingest.close()
    await engine.close()
    throw error
  })
  const retention = startRetention({ ...setup, options: setup.retention })
  const sweep = startSweep(setup)
  return {
    ingest,
    events,
    close: async (requests) => {
      await Promise.all([requests, events.close(), retention?.close(), sweep?.close()])
      await ingest.close()
      await engine.close()
    },
  }
}
