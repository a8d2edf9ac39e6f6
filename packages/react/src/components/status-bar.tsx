import type { SyncStatus } from '@holdfast/client'
import type { ReactElement, ReactNode } from 'react'

import { useHoldfast } from '../holdfast-context.ts'
import { useMutation } from '../hooks/use-mutation.ts'
import { useNow } from '../hooks/use-now.ts'
import { useSyncStatus } from '../hooks/use-sync-status.ts'
import { useFormat } from '../format/use-format.ts'
import { Button } from './button.tsx'
import { classNames } from './class-names.ts'
import { Icon } from './icon.tsx'
import { type StatusLine, statusLine } from './status-line.ts'

/** Class names by part, added to the own ones. */
export interface StatusBarClassNames {
  readonly main?: string
  readonly details?: string
  readonly actions?: string
  readonly button?: string
}

/** What `StatusBar` takes. */
export interface StatusBarProps {
  /** Called for the number of conflicts; without it the number is text. */
  readonly onShowConflicts?: () => void
  /** Called for the number of refused changes; without it the number is text. */
  readonly onShowDeadLetters?: () => void
  readonly className?: string
  readonly classNames?: StatusBarClassNames
  /** Shown at the end, such as the name of who is signed in. */
  readonly children?: ReactNode
}

/** How often ages are written anew, ms. */
const tickMs = 10_000

/**
 * Whether everything is saved and sent, what waits and how long, when the device last synced, what needs a person, and
 * the way to try at once. Rules: RE-7.
 */
export function StatusBar(props: StatusBarProps): ReactElement {
  const { labels } = useHoldfast()
  const status = useSyncStatus()
  const format = useFormat()
  const line = statusLine(status, labels, format)
  const parts = props.classNames ?? {}
  return (
    <section
      aria-label={labels.status.region}
      className={classNames('holdfast', 'holdfast-status', props.className)}
      data-tone={line.tone}
    >
      <div role="status" className={classNames('holdfast-status__main', parts.main)}>
        <Icon name={line.icon} className={line.icon === 'sync' ? 'holdfast-icon--turning' : undefined} />
        <span>{line.text}</span>
      </div>
      <div className={classNames('holdfast-status__details', parts.details)}>
        {status === undefined ? null : <Details status={status} line={line} />}
      </div>
      <div className={classNames('holdfast-status__actions', parts.actions)}>
        {status === undefined ? null : <Attention {...props} status={status} />}
        <Action line={line} className={parts.button} />
        {props.children}
      </div>
    </section>
  )
}

/** What is told beside the sentence: the count where the sentence is about something else, ages, the next attempt. */
function Details({ status, line }: { readonly status: SyncStatus; readonly line: StatusLine }): ReactElement {
  const { labels } = useHoldfast()
  const format = useFormat()
  const nowMs = useNow(tickMs)
  const words = labels.status
  const { attachments, escrowCount, pendingCount, lastSyncAt, retryAt, storage } = status
  const unsent: string[] = []
  if (pendingCount > 0) unsent.push(words.pending(pendingCount))
  if (attachments.uploads > 0) unsent.push(words.uploads(attachments.uploads))
  if (escrowCount > 0) unsent.push(words.inReview(escrowCount))
  const parts = unsent.filter((text) => text !== line.text)
  const loss = storage?.loss
  if (loss && loss.unsentCount > 0) parts.push(words.lost(loss.unsentCount, format.dateTime(loss.noticedAt)))
  const oldestMs = useOldestAgeMs(status, nowMs)
  if (oldestMs !== null && oldestMs >= 60_000) parts.push(words.oldest(format.duration(oldestMs)))
  if (retryAt !== null && nowMs !== null && line.action === 'retry') {
    const inMs = Math.max(0, Date.parse(retryAt) - nowMs)
    if (inMs >= 1_000) parts.push(words.nextTry(format.relative(-inMs)))
  }
  if (lastSyncAt === null) parts.push(words.neverSynced)
  else if (nowMs !== null) {
    const agoMs = nowMs - Date.parse(lastSyncAt)
    parts.push(words.lastSync(agoMs < 60_000 ? words.justNow : format.relative(agoMs)))
  }
  return (
    <>
      {parts.map((part) => (
        <span key={part}>{part}</span>
      ))}
    </>
  )
}

/** The status says how old the oldest was when it was told; it grows until the next. */
function useOldestAgeMs(status: SyncStatus, nowMs: number | null): number | null {
  const { env } = useHoldfast()
  const told = toldAt(status, env.now)
  if (status.oldestPendingAgeMs === null) return null
  return status.oldestPendingAgeMs + (nowMs === null ? 0 : Math.max(0, nowMs - told))
}

const toldAtByStatus = new WeakMap<SyncStatus, number>()

function toldAt(status: SyncStatus, now: () => number): number {
  const known = toldAtByStatus.get(status) ?? now()
  toldAtByStatus.set(status, known)
  return known
}

function Attention({
  status,
  onShowConflicts,
  onShowDeadLetters,
}: StatusBarProps & { readonly status: SyncStatus }): ReactElement {
  const { labels } = useHoldfast()
  const { conflictCount, deadLetterCount, foretoldCount } = status
  return (
    <>
      {foretoldCount > 0 ? <Count tone="foretold" text={labels.status.foretold(foretoldCount)} /> : null}
      {conflictCount > 0 ? (
        <Count tone="conflicted" text={labels.status.conflicts(conflictCount)} onShow={onShowConflicts} />
      ) : null}
      {deadLetterCount > 0 ? (
        <Count tone="failed" text={labels.status.deadLetters(deadLetterCount)} onShow={onShowDeadLetters} />
      ) : null}
    </>
  )
}

interface CountProps {
  readonly tone: 'foretold' | 'conflicted' | 'failed'
  readonly text: string
  readonly onShow?: () => void
}

function Count({ tone, text, onShow }: CountProps): ReactElement {
  const icon = <Icon name={tone === 'failed' ? 'stop' : 'split'} />
  return onShow === undefined ? (
    <span className="holdfast-badge" data-state={tone}>
      {icon}
      <span>{text}</span>
    </span>
  ) : (
    <button
      type="button"
      className="holdfast-badge holdfast-badge--button"
      data-state={tone}
      onClick={onShow}
    >
      {icon}
      <span>{text}</span>
    </button>
  )
}

function Action({
  line,
  className,
}: {
  readonly line: StatusLine
  readonly className?: string
}): ReactElement | null {
  const { labels } = useHoldfast()
  const { mutate } = useMutation(async (db, action: StatusLine['action']) => {
    if (action === 'resume') db.sync.resume()
    // How it ends is in the status; what cannot sync at all has nothing to say about it.
    db.sync.now().catch(() => undefined)
  })
  if (line.action === null) return null
  const words = { sync: labels.status.syncNow, retry: labels.status.retryNow, resume: labels.status.resume }
  return (
    <Button tone="quiet" className={className} onClick={() => mutate(line.action)}>
      {words[line.action]}
    </Button>
  )
}
