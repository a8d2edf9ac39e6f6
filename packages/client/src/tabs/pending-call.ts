import { SyncError } from '@holdfast/core'

import type { RowsMessage, TabMessage } from './tab-messages.ts'

/** A call that is under way. */
export interface PendingCall {
  readonly path: readonly string[]
  readonly args: readonly unknown[]
  readonly trace: string | null
  isRepeat: boolean
  /** Of a transaction: the leader of now has opened it and has said so. */
  isOpen: boolean
  readonly promise: Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  /** Of a transaction: runs its function anew. */
  readonly onReady: (() => void) | undefined
}

/** Something that is followed: how to ask for it, and what to do with what is told. */
export interface Following {
  readonly ask: (id: number) => TabMessage
  onRows?(message: RowsMessage): void
  onTold?(value: unknown): void
  onError?(error: Error): void
  /** Another leader begins from nothing. */
  onRestart?(): void
}

/** Whether a call may write. One that does not may have no end: a verdict, or a sync while there is no network. */
export function mayWrite(path: readonly string[]): boolean {
  if (path[0] === 'attachments' && path[1] === 'read') return false
  return !path.includes('verdict') && path[0] !== 'sync' && path[0] !== 'client'
}

/** Arguments as they are now, for whoever gave them may go on to change them. Errors: VALUE_INVALID for what cannot be copied. */
export function copied(args: readonly unknown[]): readonly unknown[] {
  try {
    return structuredClone(args)
  } catch (error) {
    // Such as the wrapper of a framework around plain values.
    throw new SyncError('VALUE_INVALID', `an argument cannot be sent to the worker: ${String(error)}`)
  }
}
