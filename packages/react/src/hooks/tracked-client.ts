import type { Client, WriteVerdict } from '@holdfast/client'
import type { Schema } from '@holdfast/core'

/** A write that was made through a tracked client. */
export interface TrackedWrite {
  /** null for a decision on a conflict, which may be about several. */
  readonly record: string | null
  /** null for an insert, whose mutation is the first of its record, and for a write that changed nothing. */
  readonly mutation: string | null
  verdict(): Promise<WriteVerdict>
}

/** What is told of the writes that are made through a tracked client. */
export interface WriteListener {
  /** A call that writes, and is over when what it wrote is stored. */
  readonly begun: (call: Promise<unknown>) => void
  readonly written: (write: TrackedWrite) => void
}

type Call = (...args: readonly unknown[]) => unknown
type Members = Readonly<Record<string, unknown>>

/**
 * A client that is the given one in everything, and says of each write made through it how its verdict is learnt. A
 * transaction that throws wrote nothing and says nothing.
 */
export function trackedClient(
  client: Client<Schema>,
  { begun, written: onWrite }: WriteListener,
): Client<Schema> {
  const begin = <Value>(call: Promise<Value>): Promise<Value> => {
    begun(call)
    return call
  }
  const collections = new Map<string, unknown>()
  for (const [name, member] of Object.entries(client)) {
    if (isCollection(member))
      collections.set(name, awaited(trackedCollection({ client, name, api: member, onWrite }), begin))
  }
  const transaction = async (fn: (tx: Members) => Promise<unknown>): Promise<unknown> => {
    const writes: TrackedWrite[] = []
    const value = await client.transaction((tx) =>
      fn(trackedTransaction(client, tx, (write) => writes.push(write))),
    )
    for (const write of writes) onWrite(write)
    return value
  }
  const overrides = {
    ...Object.fromEntries(collections),
    collection: (name: string) => collections.get(name) ?? client.collection(name),
    transaction: (fn: (tx: Members) => Promise<unknown>) => begin(transaction(fn)),
    conflicts: { ...client.conflicts, ...awaited(trackedConflicts(client, onWrite), begin) },
    deadLetters: { ...client.deadLetters, ...awaited(trackedLetters(client, onWrite), begin) },
  }
  // Members that are not overridden are those of the client itself, whose functions need no `this`.
  return Object.assign(Object.create(client) as Client<Schema>, overrides)
}

/** Members that only ask: a verdict may be days away. */
const questions: ReadonlySet<string> = new Set(['get', 'verdict', 'history', 'lostValues'])

/** The same members, of each call of which that writes `begin` is told. */
function awaited(members: Members, begin: (call: Promise<unknown>) => Promise<unknown>): Members {
  return Object.fromEntries(
    Object.entries(members).map(([name, call]) => [
      name,
      isCall(call) && !questions.has(name)
        ? (...args: readonly unknown[]) => begin(Promise.resolve(call(...args)))
        : call,
    ]),
  )
}

function isCollection(member: unknown): member is Members {
  return typeof member === 'object' && member !== null && 'insertMany' in member && 'increment' in member
}

interface Tracked {
  readonly client: Client<Schema>
  readonly name: string
  readonly api: Members
  readonly onWrite: (write: TrackedWrite) => void
}

function trackedCollection({ client, name, api, onWrite }: Tracked): Members {
  const inserted = (record: string): void =>
    onWrite({ record, mutation: null, verdict: () => client.collection(name).verdict(record) })
  const tracked: Record<string, unknown> = {}
  for (const [member, call] of Object.entries(api)) {
    if (!isCall(call)) continue
    tracked[member] = async (...args: readonly unknown[]) => {
      const value = await call(...args)
      if (member === 'insert') inserted(String(value))
      else if (member === 'insertMany' && Array.isArray(value)) for (const id of value) inserted(String(id))
      else if (isReceipt(value)) onWrite({ ...value, record: String(args[0]) })
      return value
    }
  }
  return { ...api, ...tracked }
}

function trackedTransaction(
  client: Client<Schema>,
  tx: object,
  onWrite: (write: TrackedWrite) => void,
): Members {
  const tracked: Record<string, unknown> = { ...tx }
  for (const [name, api] of Object.entries(tx)) {
    if (typeof api === 'object' && api !== null && 'insert' in api) {
      // The members of a collection, by name.
      tracked[name] = trackedCollection({ client, name, api: api as Members, onWrite })
    }
  }
  return tracked
}

const settlements = ['keepMine', 'keepTheirs', 'keepBoth', 'merge', 'discard'] as const

function trackedConflicts(client: Client<Schema>, onWrite: (write: TrackedWrite) => void): Members {
  const { conflicts } = client
  const tracked: Record<string, unknown> = {}
  for (const name of settlements) {
    // The five take the id of a conflict first and give what was written down.
    const settle = conflicts[name] as (...args: readonly unknown[]) => ReturnType<typeof conflicts.keepMine>
    tracked[name] = async (...args: readonly unknown[]) => {
      const settled = await settle(...args)
      for (const mutation of settled.mutations)
        onWrite({ record: null, mutation, verdict: () => client.verdict(mutation) })
      return settled
    }
  }
  return tracked
}

/** What is tried again has other keys, so that it is followed by its records. */
function trackedLetters(client: Client<Schema>, onWrite: (write: TrackedWrite) => void): Members {
  const { deadLetters } = client
  const followed = async (id: string, retry: () => Promise<void>): Promise<void> => {
    const { mutations } = await deadLetters.get(id)
    await retry()
    const records = new Map(mutations.map((each) => [`${each.collection} ${each.record}`, each]))
    for (const { collection, record } of records.values())
      onWrite({ record, mutation: null, verdict: async () => client.collection(collection).verdict(record) })
  }
  const retry: Client<Schema>['deadLetters']['retry'] = (id) => followed(id, () => deadLetters.retry(id))
  const editAndRetry: Client<Schema>['deadLetters']['editAndRetry'] = (id, ...edit) =>
    followed(id, () => deadLetters.editAndRetry(id, ...edit))
  return { retry, editAndRetry }
}

function isCall(member: unknown): member is Call {
  return typeof member === 'function'
}

function isReceipt(value: unknown): value is Pick<TrackedWrite, 'mutation' | 'verdict'> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'mutation' in value &&
    'verdict' in value &&
    typeof value.verdict === 'function'
  )
}
