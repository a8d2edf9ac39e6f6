import { type FreshDatabase, freshDatabase, hasPostgres } from '@holdfast/testing/services'
import { describe } from 'vitest'
import { describeEventStore } from '../event-contract.ts'
import { describeReceipts } from '../receipts-contract.ts'
import { describeStore, type StoreUnderTest } from '../store-contract.ts'
import type { Store } from '../store.ts'
import { postgresStore } from './postgres-store.ts'

const databases = new Map<Store, FreshDatabase>()

describe.skipIf(!hasPostgres())('on PostgreSQL', () => {
  const onPostgres: StoreUnderTest = {
    create: async () => {
      const database = await freshDatabase()
      const store = postgresStore({ url: database.url, migrate: true, pollMs: 0 })
      databases.set(store, database)
      return store
    },
    destroy: async (store) => {
      await store.close()
      await databases.get(store)?.drop()
    },
  }
  describeStore('PostgreSQL', onPostgres)
  describeReceipts('PostgreSQL', onPostgres)
  describeEventStore('PostgreSQL', onPostgres)
})
