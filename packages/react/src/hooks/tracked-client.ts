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

type Call = (...args: readonly unknown[]) => unknown
type Members = Readonly<Record<string, unknown>>

/**
 * A client that is the given one in everything, and says of each write made through it how its verdict is learnt. A
 * transaction that throws wrote nothing and says nothing.
 */
export function trackedClient(
  client: Client<Schema>,
  onWrite: (write: TrackedWrite) => void,
): Client<Schema> {
  const collections = new Map<string, unknown>()
  for (const [name, member] of Object.entries(client)) {
    if (isCollection(member)) collections.set(name, trackedCollection({ client, name, api: member, onWrite }))
  }
  const overrides = {
    ...Object.fromEntries(collections),
    collection: (name: string) => collections.get(name) ?? client.collection(name),
    transaction: async (fn: (tx: Members) => Promise<unknown>) => {
      const writes: TrackedWrite[] = []
      const value = await client.transaction((tx) =>
        fn(trackedTransaction(client, tx, (write) => writes.push(write))),
      )
      for (const write of writes) onWrite(write)
      return value
    },
    conflicts: trackedConflicts(client, onWrite),
  }
  // Members that are not overridden are those of the client itself, whose functions need no `this`.
  return Object.assign(Object.create(client) as Client<Schema>, overrides)
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

function trackedConflicts(
  client: Client<Schema>,
  onWrite: (write: TrackedWrite) => void,
): Client<Schema>['conflicts'] {
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
  return { ...conflicts, ...tracked }
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
