import { hasPostgres } from '@holdfast/testing/services'
import { Pool } from 'pg'
import { afterAll, describe } from 'vitest'
import { type Copy, dropCopies, takeCopy } from '../../given-copies.ts'
import { describeEventStore } from '../event-contract.ts'
import { describeReceipts } from '../receipts-contract.ts'
import { describeStore, type StoreUnderTest } from '../store-contract.ts'
import type { Store } from '../store.ts'
import { postgresStore } from './postgres-store.ts'

const copies = new Map<Store, Copy>()

describe.skipIf(!hasPostgres())('on PostgreSQL', () => {
  afterAll(dropCopies)

  const onPostgres: StoreUnderTest = {
    create: async (schema) => {
      const copy = await takeCopy(schema)
      const store = postgresStore({ url: copy.url, pollMs: 0 })
      copies.set(store, copy)
      return store
    },
    destroy: async (store) => {
      await store.close()
      const copy = copies.get(store)
      await copy?.giveBack(new Pool({ connectionString: copy.url, max: 1 }))
    },
  }
  describeStore('PostgreSQL', onPostgres)
  describeReceipts('PostgreSQL', onPostgres)
  describeEventStore('PostgreSQL', onPostgres)
})
