import { doneOf, resultOf } from '../drivers/idb-request.ts'
import type { SealedBatch } from './sealed-batch.ts'

/** Where sealed batches lie: outside of the database, so that a service worker can read them. One for each database and device. */
export interface SealedStore {
  /** Everything there is, as it was put there: `parseSealedBatch` reads it. */
  list(): Promise<readonly unknown[]>
  /** Puts a batch in the place of an older one of the same database and device. */
  put(batch: SealedBatch): Promise<void>
  /** Removes a batch, unless another was put in its place. */
  remove(batch: SealedBatch): Promise<void>
  /** Removes all batches of a database, or that of one device. */
  erase(name: string, device?: string): Promise<void>
}

const database = 'holdfast sealed'
const batches = 'batches'

/** Sealed batches in the origin's IndexedDB. Errors: those of IndexedDB. */
export function indexedDbSealedStore(): SealedStore {
  return {
    list: () => transact('readonly', (store) => resultOf(store.getAll())),
    put: (batch) => transact('readwrite', (store) => resultOf(store.put(batch)).then(() => undefined)),
    remove: (batch) =>
      transact('readwrite', async (store) => {
        const key = [batch.name, batch.device]
        // What lies there was put by `put`.
        const kept = (await resultOf(store.get(key))) as SealedBatch | undefined
        if (kept?.id === batch.id) await resultOf(store.delete(key))
      }),
    erase: (name, device) =>
      transact('readwrite', async (store) => {
        // An array comes after every text, so that this is every device.
        const key = device === undefined ? IDBKeyRange.bound([name], [name, []]) : [name, device]
        await resultOf(store.delete(key))
      }),
  }
}

/** Opened anew for each use: nobody who wants to remove the database has to wait for a page. */
async function transact<T>(
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => Promise<T>,
): Promise<T> {
  const opening = indexedDB.open(database, 1)
  opening.addEventListener('upgradeneeded', () => {
    opening.result.createObjectStore(batches, { keyPath: ['name', 'device'] })
  })
  const opened = await resultOf(opening)
  try {
    const transaction = opened.transaction(batches, mode)
    const [value] = await Promise.all([work(transaction.objectStore(batches)), doneOf(transaction)])
    return value
  } finally {
    opened.close()
  }
}
