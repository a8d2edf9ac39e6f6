import type { SyncStatus } from '@holdfast/client'

import type { Labels } from '../labels.ts'
import type { Format } from '../format/use-format.ts'
import type { IconName } from './icon.tsx'

/** What the status bar says first. */
export interface StatusLine {
  readonly tone: 'ok' | 'busy' | 'waiting' | 'offline' | 'attention'
  readonly icon: IconName
  readonly text: string
  /** What the button does; null when there is nothing to do. */
  readonly action: 'sync' | 'retry' | 'resume' | null
}

/** The one sentence for a status. Rules: RE-7. */
export function statusLine(status: SyncStatus | undefined, labels: Labels, format: Format): StatusLine {
  const words = labels.status
  if (status === undefined) return { tone: 'waiting', icon: 'clock', text: words.opening, action: null }
  const { attachments, pausedBy, phase, pendingCount, reason, progress } = status
  if (pausedBy !== null) {
    const isOurs = pausedBy === 'user' || pausedBy === 'policy' || pausedBy === 'auth'
    const tone = pausedBy === 'user' || pausedBy === 'policy' ? 'waiting' : 'attention'
    return { tone, icon: 'pause', text: words.paused[pausedBy], action: isOurs ? 'resume' : null }
  }
  if (!status.online) return { tone: 'offline', icon: 'cut', text: words.offline, action: 'retry' }
  if (progress !== null && progress.phase === 'snapshot') {
    return { tone: 'busy', icon: 'down', text: words.receiving(format.number(progress.rows)), action: null }
  }
  if (phase === 'pushing' || phase === 'pulling')
    return { tone: 'busy', icon: 'sync', text: words.syncing, action: null }
  if (reason !== null) {
    const text = words.waiting(labels.error(reason, ''))
    return { tone: 'waiting', icon: 'clock', text, action: 'retry' }
  }
  if (pendingCount > 0)
    return { tone: 'waiting', icon: 'clock', text: words.pending(pendingCount), action: 'sync' }
  if (attachments.uploads > 0)
    return { tone: 'waiting', icon: 'clock', text: words.uploads(attachments.uploads), action: 'sync' }
  // What waits for a person is not saved as its author meant it, although nothing is left to send.
  const waitingCount = status.conflictCount + status.deadLetterCount
  if (waitingCount > 0)
    return { tone: 'attention', icon: 'split', text: words.needsYou(waitingCount), action: 'sync' }
  if (status.escrowCount > 0)
    return { tone: 'waiting', icon: 'clock', text: words.inReview(status.escrowCount), action: 'sync' }
  return { tone: 'ok', icon: 'check', text: words.saved, action: 'sync' }
}
