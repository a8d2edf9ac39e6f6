import { attachment, collection, defineSchema, type Schema, text } from '@holdfast/core'
import { createHash } from 'node:crypto'

/** Reports with a photo, in the scope of a site; names in capitals, as some have. */
export const photoSchema: Schema = defineSchema({
  version: 1,
  collections: {
    siteReports: collection({
      fields: { site: text(), title: text(), photo: attachment(), plan: attachment() },
      scope: 'site:{site}',
      unique: [{ fields: ['site', 'title'], onConflict: 'ask' }],
    }),
  },
})

/** The collection of the schema. */
export const reports = 'siteReports'

/** The key of a file by its bytes, and what a field says of it. */
export interface GivenFile {
  readonly bytes: Buffer
  readonly hash: string
  readonly size: number
}

/** Bytes that differ from place to place, so that parts in a wrong order are noticed. */
export function givenFile(size: number, seed = 1): GivenFile {
  const bytes = Buffer.alloc(size)
  for (let at = 0, state = seed; at < size; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[at] = state >>> 16
  }
  return fileOf(bytes)
}

/** What there is to say of bytes. */
export function fileOf(bytes: Buffer): GivenFile {
  return { bytes, hash: createHash('sha256').update(bytes).digest('hex'), size: bytes.byteLength }
}

/** The value of a field. */
export function valueOf({ hash, size }: GivenFile): { readonly hash: string; readonly size: number } {
  return { hash, size }
}
