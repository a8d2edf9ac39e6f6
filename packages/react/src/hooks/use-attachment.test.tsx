import type { AttachmentValue } from '@holdfast/core'
import { act } from '@testing-library/react'
import { StrictMode, type ReactNode } from 'react'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { type GivenApp, givenApp, hooks, type ShopClient } from '../given-app.tsx'
import { lingerMs } from '../store/shared-source.ts'
import type { AttachmentResult } from './use-attachment.ts'
import type { UploadsResult } from './use-uploads.ts'

let app: GivenApp
let db: ShopClient
let item: string
/** By address, what it stands for now. */
let shown: Map<string, Blob>
beforeEach(async () => {
  app = givenApp()
  db = await app.open()
  item = await db.items.insert({ name: 'Rope' })
  await app.sync(db)
  shown = new Map()
  // The document of these tests has no such addresses.
  vi.stubGlobal(
    'URL',
    Object.assign(class extends URL {}, {
      createObjectURL: (blob: Blob) => {
        const address = `blob:${shown.size + 1}`
        shown.set(address, blob)
        return address
      },
      revokeObjectURL: (address: string) => void shown.delete(address),
    }),
  )
})
afterEach(async () => {
  await app.close()
  vi.unstubAllGlobals()
})

let seen: AttachmentResult
function Photo({ photo }: { readonly photo: AttachmentValue | null }): ReactNode {
  seen = hooks.useAttachment({ collection: 'items', record: item }, photo)
  return null
}

let uploads: UploadsResult['uploads']
function Uploads(): ReactNode {
  ;({ uploads } = hooks.useUploads())
  return null
}

const bytes = Uint8Array.from(Buffer.from('a picture of a rope'))

describe('attachments', () => {
  test('[RE-16] bytes of this device have one address for all who show them, for as long as somebody does', async () => {
    const photo = await db.attachments.add(bytes, { mediaType: 'image/png' })
    const page = await app.show(
      db,
      <StrictMode>
        <Photo photo={photo} />
        <Photo photo={photo} />
      </StrictMode>,
    )
    expect(seen).toEqual({ url: 'blob:1', status: 'ready', error: null })
    expect(shown.size).toBe(1)
    const blob = shown.get('blob:1')
    expect(blob?.type).toBe('image/png')
    expect(new Uint8Array((await blob?.arrayBuffer()) ?? new ArrayBuffer())).toEqual(bytes)
    page.unmount()
    await app.pass(lingerMs)
    expect(shown.size).toBe(0)
  })

  test('[RE-16] while bytes cannot be had it says why, and asks again until they are there', async () => {
    const elsewhere = await app.open({ user: 'bob' })
    const photo = await elsewhere.attachments.add(bytes)
    await app.show(db, <Photo photo={photo} />)
    expect(seen).toMatchObject({ url: null, status: 'error', error: { code: 'ATTACHMENT_MISSING' } })
    await app.pass(2_000)
    expect(seen.status).toBe('error')
    await db.attachments.add(bytes)
    await app.pass(3_900)
    expect(seen.status).toBe('error')
    await app.pass(200)
    expect(seen).toEqual({ url: 'blob:1', status: 'ready', error: null })
  })

  test('[RE-16] nothing is asked for without an attachment, and on a server it is pending', async () => {
    await app.show(db, <Photo photo={null} />)
    expect(seen).toEqual({ url: null, status: 'pending', error: null })
    const photo = await db.attachments.add(bytes)
    renderToString(app.element(null, <Photo photo={photo} />))
    expect(seen).toEqual({ url: null, status: 'pending', error: null })
  })

  test('[RE-6] uploads are live from the write on', async () => {
    await app.show(db, <Uploads />)
    expect(uploads).toEqual([])
    await act(async () => {
      await db.items.update(item, { photo: await db.attachments.add(bytes) })
    })
    await app.pass()
    expect(uploads).toMatchObject([
      { collection: 'items', record: item, size: 19, sent: 0, status: 'waiting' },
    ])
  })
})
