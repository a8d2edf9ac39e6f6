import type { Client, ClientTransaction, WriteVerdict } from '@holdfast/client'
import type { CollectionSchema, Schema } from '@holdfast/core'
import type { PendingMutation } from '@tanstack/db'

/** A mutation and the Holdfast collection it is of. */
export interface NamedMutation
  extends Pick<PendingMutation, 'type' | 'key' | 'original' | 'modified' | 'changes'> {
  readonly collection: CollectionSchema
}

/** A write that was stored, and how its verdict is learnt. */
export interface Written {
  readonly record: string
  verdict(): Promise<WriteVerdict>
}

/** The writes of one collection, with any fields. */
type Writes = Pick<ClientTransaction<Schema>[string], 'insert' | 'update' | 'delete' | 'get'>

/**
 * Writes mutations down: one as itself, several as one transaction, seen whole or not at all on every device. Resolves when
 * they are stored on this device. Errors: those of the writes.
 */
export async function writeMutations(
  client: Client<Schema>,
  mutations: readonly NamedMutation[],
): Promise<readonly Written[]> {
  const [only, ...others] = mutations
  if (only === undefined) return []
  if (others.length === 0 && !isRelative(only))
    return [await writeOne(client, client.collection(only.collection.name), only)]
  return client.transaction(async (tx) => {
    const written: Written[] = []
    for (const mutation of mutations) {
      const writes: Writes | undefined = tx[mutation.collection.name]
      if (writes !== undefined) written.push(await writeOne(client, writes, mutation))
    }
    return written
  })
}

async function writeOne(client: Client<Schema>, writes: Writes, mutation: NamedMutation): Promise<Written> {
  const { collection, type } = mutation
  const record = String(mutation.key)
  if (type === 'insert') {
    await writes.insert({ ...insertedFields(collection, mutation.modified), id: record })
    return { record, verdict: () => client.collection(collection.name).verdict(record) }
  }
  const receipt =
    type === 'update'
      ? await writes.update(record, await changedFields(writes, mutation))
      : await writes.delete(record)
  return { record, verdict: () => receipt.verdict() }
}

type Fields = Readonly<Record<string, unknown>>

/** What the server owns, and what the device and TanStack DB add to a row, is not the app's to give. */
function insertedFields(collection: CollectionSchema, values: Fields): Fields {
  const given = collection.fields.filter(({ owner }) => owner !== 'server').map(({ name }) => name)
  return Object.fromEntries(given.map((name) => [name, values[name]]))
}

/** Fields whose changes add up: what was seen may be older than what the device has by now. */
function relativeFields({ collection, changes }: NamedMutation): CollectionSchema['fields'] {
  const isRelativeKind = (kind: string): boolean => kind === 'counter' || kind === 'set'
  return collection.fields.filter(({ name, kind }) => isRelativeKind(kind) && name in changes)
}

/** Whether what it writes depends on the row, so that both belong into one transaction. */
function isRelative(mutation: NamedMutation): boolean {
  return mutation.type === 'update' && relativeFields(mutation).length > 0
}

async function changedFields(writes: Writes, mutation: NamedMutation): Promise<Fields> {
  const { changes, original } = mutation
  const wanted: Record<string, unknown> = Object.fromEntries(
    Object.entries(changes).filter(([name]) => !/^[_$]/.test(name)),
  )
  const relative = relativeFields(mutation)
  const row: Fields | undefined = relative.length === 0 ? undefined : await writes.get(String(mutation.key))
  // Without a row the write says so.
  if (row === undefined) return wanted
  const seen: Fields = original
  for (const { name } of relative) wanted[name] = carriedOver(seen[name], wanted[name], row[name])
  return wanted
}

/** What made `after` of `before`, done to `now`: an amount added, members added and removed. */
function carriedOver(before: unknown, after: unknown, now: unknown): unknown {
  if (typeof before === 'number' && typeof after === 'number' && typeof now === 'number')
    return now + after - before
  if (!isList(before) || !isList(after) || !isList(now)) return after
  const [had, has] = [new Set(before), new Set(after)]
  const stays = now.filter((member) => has.has(member) || !had.has(member))
  return [...new Set([...stays, ...after.filter((member) => !had.has(member))])]
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value)
}
