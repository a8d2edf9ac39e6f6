import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeEventStore } from '../event-contract.ts'
import { describeReceipts } from '../receipts-contract.ts'
import { describeStore, type StoreUnderTest } from '../store-contract.ts'
import type { Store } from '../store.ts'
import { sqliteStore } from './sqlite-store.ts'

const folders = new Map<Store, string>()

const onFile: StoreUnderTest = {
  create: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-'))
    const store = sqliteStore({ path: join(folder, 'server.db'), pollMs: 0 })
    folders.set(store, folder)
    return store
  },
  destroy: async (store) => {
    await store.close()
    rmSync(folders.get(store) ?? '', { recursive: true, force: true })
  },
}

describeStore('SQLite on a file', onFile)
describeReceipts('SQLite on a file', onFile)
describeEventStore('SQLite on a file', onFile)

describeStore('SQLite in memory', {
  create: async () => sqliteStore(':memory:'),
  destroy: (store) => store.close(),
})
