'use client'

export { createHooks, type Hooks } from './create-hooks.ts'
export { type ErrorInfo, toErrorInfo } from './error-info.ts'
export type { LiveState, LiveStatus } from './hooks/live-list.ts'
export type { MutationState, MutationStatus } from './hooks/mutation-state.ts'
export type { AttachmentOwner, AttachmentResult } from './hooks/use-attachment.ts'
export type { ConflictsResult, ForetoldResult } from './hooks/use-conflicts.ts'
export type { DeadLettersResult } from './hooks/use-dead-letters.ts'
export type { LiveQueryOptions, LiveQueryResult } from './hooks/use-live-query.ts'
export type { MutationHandle } from './hooks/use-mutation.ts'
export type { OutboxResult } from './hooks/use-outbox.ts'
export type { RecordResult } from './hooks/use-record.ts'
export type { UploadsResult } from './hooks/use-uploads.ts'
export {
  type ConflictLabels,
  type DeadLetterLabels,
  englishLabels,
  type FormLabels,
  type LabelOverrides,
  type Labels,
  type StatusLabels,
} from './labels.ts'
export type { HoldfastProviderProps } from './provider.tsx'
export { ConflictCard, type ConflictCardProps } from './components/conflict-card.tsx'
export {
  ConflictScreen,
  type ConflictScreenClassNames,
  type ConflictScreenProps,
} from './components/conflict-screen.tsx'
export { DeadLetterCard, type DeadLetterCardProps } from './components/dead-letter-card.tsx'
export {
  DeadLetterList,
  type DeadLetterListClassNames,
  type DeadLetterListProps,
} from './components/dead-letter-list.tsx'
export { RecordBadge, type RecordBadgeProps } from './components/record-badge.tsx'
export { StatusBar, type StatusBarClassNames, type StatusBarProps } from './components/status-bar.tsx'
export type { RenderValue, ShownValue } from './components/value-view.tsx'
