import { collection, defineSchema, SyncError, text } from '@holdfast/core'
import { afterEach, expect, test, vi } from 'vitest'

import { givenHost } from './given-host.ts'
import { serveClient } from './serve-client.ts'

const schema = defineSchema({ version: 1, collections: { items: collection({ fields: { name: text() } }) } })
const options = { ...givenHost, name: 'served', tab: 't1' }

afterEach(() => vi.unstubAllGlobals())

test('[BR-5] a worker that is told to end while it opens the database says so, also when that fails', async () => {
  const posted: { readonly kind: string }[] = []
  let say: (event: { readonly data: unknown }) => void = () => undefined
  vi.stubGlobal('postMessage', (message: { readonly kind: string }) => posted.push(message))
  vi.stubGlobal('addEventListener', (kind: string, listener: typeof say) => {
    if (kind === 'message') say = listener
  })
  const opening = Promise.withResolvers<never>()
  const begun = Promise.withResolvers<void>()
  const storage = (): Promise<never> => {
    begun.resolve()
    return opening.promise
  }
  serveClient({ schema, storage })
  say({ data: { kind: 'contend', options, known: null } })
  await begun.promise
  say({ data: { kind: 'resign' } })
  opening.reject(new SyncError('STORE_FOREIGN', 'of something else'))
  await expect.poll(() => posted.map(({ kind }) => kind)).toEqual(['failed', 'resigned'])
})
