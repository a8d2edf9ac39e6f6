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
type Writes = Pick<ClientTransaction<Schema>[string], 'insert' | 'update' | 'delete'>

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
  if (others.length === 0) return [await writeOne(client, client.collection(only.collection.name), only)]
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
      ? // What the draft was made of may be older than what the device has by now.
        await writes.update(record, changedFields(mutation), mutation.original)
      : await writes.delete(record)
  return { record, verdict: () => receipt.verdict() }
}

type Fields = Readonly<Record<string, unknown>>

/** What the server owns, and what the device and TanStack DB add to a row, is not the app's to give. */
function insertedFields(collection: CollectionSchema, values: Fields): Fields {
  const given = collection.fields.filter(({ owner }) => owner !== 'server').map(({ name }) => name)
  return Object.fromEntries(given.map((name) => [name, values[name]]))
}

/** What was changed, without what Holdfast and TanStack DB add to a row. */
function changedFields({ changes }: NamedMutation): Fields {
  return Object.fromEntries(Object.entries(changes).filter(([name]) => !/^[_$]/.test(name)))
}
