import type { RecordState } from '@holdfast/core'
import type { ReactElement } from 'react'

import { useHoldfast } from '../holdfast-context.ts'
import { classNames } from './class-names.ts'
import { Icon, type IconName } from './icon.tsx'

/** What `RecordBadge` takes. */
export interface RecordBadgeProps {
  /** `_state` of the row. */
  readonly state: RecordState
  /** The device foresees a conflict, see `useForetold`. Shown while nothing worse is. */
  readonly isForetold?: boolean
  /** Only the drawing; the text is still read out and shown as a hint. */
  readonly isCompact?: boolean
  readonly className?: string
}

const icons: Readonly<Record<RecordState, IconName>> = {
  clean: 'check',
  pending: 'clock',
  syncing: 'up',
  conflicted: 'split',
  failed: 'stop',
}

/** How a record stands with the server, in a word. Rules: RE-7. */
export function RecordBadge({
  state,
  isForetold = false,
  isCompact = false,
  className,
}: RecordBadgeProps): ReactElement {
  const { labels } = useHoldfast()
  const isWarned = isForetold && (state === 'pending' || state === 'syncing')
  const text = isWarned ? labels.willConflict : labels.states[state]
  return (
    <span
      className={classNames('holdfast', 'holdfast-badge', isCompact && 'holdfast-badge--compact', className)}
      data-state={isWarned ? 'foretold' : state}
      title={isCompact ? text : labels.stateHints[state]}
    >
      <Icon name={isWarned ? 'split' : icons[state]} />
      <span className={isCompact ? 'holdfast-hidden' : undefined}>{text}</span>
    </span>
  )
}
