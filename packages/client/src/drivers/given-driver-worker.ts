import { SyncError } from '@holdfast/core'

import { growTable } from './given-growth.ts'
import { indexedDbStorage } from './indexed-db.ts'
import { opfsStorage } from './opfs.ts'
import type { SqliteConnection, SqlParam } from './sqlite-driver.ts'

/** A call of a test to a connection that lives in this worker. */
export interface DriverCall {
  readonly id: number
  readonly method: 'open' | 'all' | 'run' | 'exec' | 'describe' | 'close' | 'grow'
  readonly text: string
  readonly params?: readonly SqlParam[]
}

/** What came of it; `told` is a number that `grow` has committed. */
export interface DriverAnswer {
  readonly id: number
  readonly value?: unknown
  readonly error?: { readonly code: string; readonly message: string }
  readonly told?: number
}

// The worker of the contract suite in browsers: one connection, driven by messages.
let connection: SqliteConnection | undefined

globalThis.addEventListener('message', (event: MessageEvent<DriverCall>) => {
  const { id } = event.data
  perform(event.data).then(
    (value) => answer({ id, value }),
    (error: unknown) => {
      const code = error instanceof SyncError ? error.code : 'none'
      answer({ id, error: { code, message: String(error) } })
    },
  )
})

async function perform({ id, method, text, params }: DriverCall): Promise<unknown> {
  if (method === 'open') {
    const inDatabase = /^indexed-db:(.*)$/.exec(text)?.[1]
    connection = await (inDatabase === undefined ? opfsStorage(text) : indexedDbStorage(inDatabase)).open()
    return connection.capabilities
  }
  if (connection === undefined) throw new Error('open it first')
  if (method === 'all' || method === 'run') return connection[method](text, params)
  if (method === 'close') return connection.close()
  if (method === 'grow') return growTable(connection, (told) => answer({ id, told }))
  return connection[method](text)
}

function answer(message: DriverAnswer): void {
  globalThis.postMessage(message)
}
