import type { PauseCause } from '@holdfast/client'
import { type ErrorCode, errorTable, type RecordState } from '@holdfast/core'

/** Texts of the status bar. */
export interface StatusLabels {
  readonly region: string
  readonly saved: string
  readonly needsYou: (count: number) => string
  /** Changes that wait for somebody else's decision. */
  readonly inReview: (count: number) => string
  /** Changes that were never sent and are gone with what the browser removed. */
  readonly lost: (count: number, when: string) => string
  readonly opening: string
  readonly pending: (count: number) => string
  /** Files whose bytes the server does not have. */
  readonly uploads: (count: number) => string
  readonly oldest: (age: string) => string
  readonly offline: string
  readonly syncing: string
  readonly receiving: (rows: string) => string
  readonly waiting: (reason: string) => string
  readonly paused: Readonly<Record<PauseCause, string>>
  readonly stopped: string
  readonly lastSync: (ago: string) => string
  readonly neverSynced: string
  readonly justNow: string
  readonly syncNow: string
  readonly retryNow: string
  readonly resume: string
  readonly nextTry: (inTime: string) => string
  readonly conflicts: (count: number) => string
  readonly foretold: (count: number) => string
  readonly deadLetters: (count: number) => string
}

/** Texts of the conflict screen. */
export interface ConflictLabels {
  readonly title: string
  readonly count: (count: number) => string
  readonly none: string
  readonly noneHint: string
  readonly open: (what: string) => string
  /** The side of whoever looks, and the other one. */
  readonly mine: string
  readonly theirs: string
  /** The side of somebody else, where it is they who made the change in question. */
  readonly of: (person: string) => string
  readonly server: string
  readonly before: (value: string) => string
  readonly field: string
  readonly differs: string
  readonly empty: string
  readonly yes: string
  readonly no: string
  readonly deletedHere: string
  readonly deletedThere: string
  readonly waits: string
  readonly by: (author: string, when: string) => string
  readonly inReview: string
  readonly keepMine: string
  readonly keepTheirs: string
  readonly keepOf: (person: string) => string
  readonly keepServer: string
  readonly keepBoth: string
  readonly edit: string
  readonly editTitle: string
  /** Takes the value of a side, named as above, into the form. */
  readonly use: (side: string, field: string) => string
  readonly save: string
  readonly cancel: string
  readonly settled: string
  /** Of a conflict that was open when it was shown. */
  readonly over: string
  readonly goOn: string
  readonly kinds: Readonly<Record<'fields' | 'delete' | 'unique', string>>
  /** The rule of a field in one sentence, which Holdfast says in English. */
  readonly rule: (english: string, field: string | null) => string
}

/** Texts of the dead-letter list. */
export interface DeadLetterLabels {
  readonly title: string
  readonly count: (count: number) => string
  readonly none: string
  readonly noneHint: string
  readonly refused: (when: string) => string
  readonly attempts: (count: number) => string
  readonly behind: (count: number) => string
  readonly unreadable: string
  readonly retry: string
  readonly edit: string
  readonly editTitle: string
  readonly saveAndRetry: string
  readonly discard: string
  readonly discardTitle: string
  readonly discardHint: string
  readonly discardConfirm: string
  readonly cancel: string
  readonly export: string
  readonly exportAll: string
  readonly retried: string
  readonly discarded: string
  readonly exportFile: string
}

/** Texts for values in forms. */
export interface FormLabels {
  readonly invalidJson: string
  readonly listHint: string
  readonly true: string
  readonly false: string
  readonly nothing: string
}

/** Every text the components show. Functions get what they speak of, already written for the locale where it is a time. */
export interface Labels {
  readonly status: StatusLabels
  readonly states: Readonly<Record<RecordState, string>>
  readonly stateHints: Readonly<Record<RecordState, string>>
  readonly willConflict: string
  readonly conflict: ConflictLabels
  readonly deadLetter: DeadLetterLabels
  readonly form: FormLabels
  readonly ops: Readonly<Record<'create' | 'update' | 'delete', string>>
  /** Name of a collection. */
  readonly collection: (name: string) => string
  /** Name of a field. */
  readonly fieldName: (field: string, collection: string) => string
  /** Name of a person, from the account the server knows. */
  readonly person: (account: string) => string
  /** An error for whoever reads it. */
  readonly error: (code: string | null, message: string) => string
}

/** Some of the labels; the others stay. */
export type LabelOverrides = { readonly [Part in keyof Labels]?: Override<Labels[Part]> }

type Override<Part> = Part extends (...args: never) => unknown
  ? Part
  : Part extends string
    ? string
    : { readonly [Name in keyof Part]?: Override<Part[Name]> }

/** Labels with some replaced. */
export function withLabels(labels: Labels, overrides: LabelOverrides | undefined): Labels {
  return overrides === undefined ? labels : merged(labels, overrides)
}

function merged<Part extends object>(part: Part, overrides: object): Part {
  const result: Record<string, unknown> = Object.fromEntries(Object.entries(part))
  for (const [name, value] of Object.entries<unknown>({ ...overrides })) {
    if (value === undefined) continue
    const known = result[name]
    result[name] = isObject(value) && isObject(known) ? merged(known, value) : value
  }
  // Overrides have the types of what they replace.
  return result as Part
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function plural(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`
}

/** The labels in English. */
export const englishLabels: Labels = {
  status: {
    region: 'Sync status',
    saved: 'All changes saved',
    needsYou: (count) => `${plural(count, 'change needs', 'changes need')} a decision`,
    inReview: (count) => `${plural(count, 'change waits', 'changes wait')} for a review`,
    lost: (count, when) =>
      `${plural(count, 'unsent change was', 'unsent changes were')} removed by the browser before ${when}`,
    opening: 'Opening…',
    pending: (count) => `${plural(count, 'change', 'changes')} to send`,
    uploads: (count) => `${plural(count, 'file', 'files')} to send`,
    oldest: (age) => `oldest ${age}`,
    offline: 'Offline. Your work is kept on this device',
    syncing: 'Syncing…',
    receiving: (rows) => `Receiving ${rows} rows…`,
    waiting: (reason) => `Waiting. ${reason}`,
    paused: {
      user: 'Sync is paused',
      policy: 'Sync is paused to save battery or data',
      auth: 'Sign in again to sync',
      account: 'Signed in as somebody else',
      update: 'Update the app to sync',
    },
    stopped: 'Sync is off',
    lastSync: (ago) => `Last sync ${ago}`,
    neverSynced: 'Not synced yet',
    justNow: 'just now',
    syncNow: 'Sync now',
    retryNow: 'Retry now',
    resume: 'Resume',
    nextTry: (inTime) => `next try ${inTime}`,
    conflicts: (count) => plural(count, 'conflict', 'conflicts'),
    foretold: (count) => `${plural(count, 'change', 'changes')} may conflict`,
    deadLetters: (count) => plural(count, 'refused change', 'refused changes'),
  },
  states: {
    clean: 'Saved',
    pending: 'To send',
    syncing: 'Sending',
    conflicted: 'Conflict',
    failed: 'Refused',
  },
  stateHints: {
    clean: 'The server has this.',
    pending: 'Kept on this device and not sent yet.',
    syncing: 'On its way to the server.',
    conflicted: 'Somebody else changed the same. A person decides.',
    failed: 'The server refused a change. Retry, edit or discard it.',
  },
  willConflict: 'May conflict',
  conflict: {
    title: 'Conflicts',
    count: (count) => plural(count, 'decision to make', 'decisions to make'),
    none: 'No conflicts',
    noneHint: 'When two people change the same thing, you decide here.',
    open: (what) => `Decide on ${what}`,
    mine: 'Mine',
    theirs: 'Theirs',
    of: (person) => `From ${person}`,
    server: 'On the server',
    before: (value) => `Before: ${value}`,
    field: 'Field',
    differs: 'differs',
    empty: 'empty',
    yes: 'Yes',
    no: 'No',
    deletedHere: 'Deleted here',
    deletedThere: 'Deleted there',
    waits: 'Waits with the others of the same transaction.',
    by: (author, when) => `Changed by ${author}, ${when}`,
    inReview: 'A reviewer decides on this one.',
    keepMine: 'Keep mine',
    keepTheirs: 'Keep theirs',
    keepOf: (person) => `Keep ${person}’s`,
    keepServer: 'Keep the server’s',
    keepBoth: 'Keep both',
    edit: 'Edit…',
    editTitle: 'Edit what is kept',
    use: (side, field) => `${side} (${field})`,
    save: 'Save',
    cancel: 'Cancel',
    settled: 'Decided. It is sent with the next sync.',
    over: 'No longer open: somebody else has decided it, or it is out of your sight.',
    goOn: 'Go on',
    kinds: {
      fields: 'Both changed the same',
      delete: 'Changed and deleted',
      unique: 'The same thing twice',
    },
    rule: (english) => english,
  },
  deadLetter: {
    title: 'Refused changes',
    count: (count) => plural(count, 'change needs you', 'changes need you'),
    none: 'Nothing was refused',
    noneHint: 'A change the server refuses is kept here until you decide.',
    refused: (when) => `Made ${when}`,
    attempts: (count) => plural(count, 'attempt', 'attempts'),
    behind: (count) => `${plural(count, 'later change waits', 'later changes wait')} for this one`,
    unreadable: 'Its bytes cannot be read.',
    retry: 'Retry',
    edit: 'Edit and retry…',
    editTitle: 'Edit and retry',
    saveAndRetry: 'Save and retry',
    discard: 'Discard…',
    discardTitle: 'Discard this change?',
    discardHint: 'The record shows what is left without it. This cannot be undone.',
    discardConfirm: 'Discard',
    cancel: 'Cancel',
    export: 'Export',
    exportAll: 'Export all',
    retried: 'Sent again with the next sync.',
    discarded: 'Discarded.',
    exportFile: 'refused-changes.json',
  },
  form: {
    invalidJson: 'This is not valid JSON.',
    listHint: 'One per line.',
    true: 'Yes',
    false: 'No',
    nothing: '(empty)',
  },
  ops: { create: 'New', update: 'Change', delete: 'Deletion' },
  collection: sentenceCase,
  fieldName: sentenceCase,
  person: (account) => account,
  error: (code, message) => (isCode(code) ? errorTable[code].meaning : message || 'Something went wrong.'),
}

function isCode(code: string | null): code is ErrorCode {
  return code !== null && Object.hasOwn(errorTable, code)
}

/** `warehouseId` and `warehouse_id` as "Warehouse id". */
function sentenceCase(name: string): string {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll('_', ' ')
    .toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}
