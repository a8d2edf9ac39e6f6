import { SyncError } from '@holdfast/core'

import type { Envelope, LeaderMessage, TabMessage } from './tab-messages.ts'

/** The way from a tab to one leader. */
export interface Route {
  readonly leader: string
  readonly post: (envelope: Envelope<TabMessage>) => void
  readonly close: () => void
}

/** To the worker of the tab itself; what comes from there is heard with all else it says. */
export function workerRoute(leader: string, worker: Worker): Route {
  return { leader, post: (envelope) => worker.postMessage(envelope), close: () => undefined }
}

/** To the worker of another tab, on a channel that nobody else listens to. */
export function channelRoute(
  leader: string,
  name: string,
  take: (envelope: Envelope<LeaderMessage>) => void,
): Route {
  const channel = new BroadcastChannel(name)
  channel.addEventListener('message', ({ data }: MessageEvent<Envelope<LeaderMessage>>) => take(data))
  return { leader, post: (envelope) => channel.postMessage(envelope), close: () => channel.close() }
}

/** What a step of a transaction is told when its leader goes. */
export function leaderGone(): SyncError {
  return new SyncError('TRANSACTION_OVER', 'the tab that led is gone; the transaction begins anew')
}
