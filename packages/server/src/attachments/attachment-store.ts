import type { AttachmentKey } from '../engine.ts'

/** An upload: each user has his own, so that nobody spoils another's. */
export interface UploadKey extends AttachmentKey {
  /** The id of the user who sends. */
  readonly user: string
}

/** Bytes that were checked against their hash. */
export interface StoredAttachment extends AttachmentKey {
  /** ISO time at which it was first seen that nothing names it; null: not yet, or it is named again. */
  readonly unnamedSince: string | null
}

/**
 * Where the bytes of attachments are. Keys are checked before they get here: the collection is one of the schema, the
 * record a UUID, the hash a SHA-256 in lower case hex. Several nodes may use one store at the same time.
 */
export interface AttachmentStore {
  /** Bytes of a stored attachment; null when there is none. */
  size(key: AttachmentKey): Promise<number | null>
  /** The bytes, or those from `start` to `end`, both included. null when there is no such attachment. */
  read(
    key: AttachmentKey,
    range?: { readonly start: number; readonly end: number },
  ): Promise<ReadableStream<Uint8Array> | null>
  /** How many bytes of an upload, from its first, outlive a power cut; 0 when nothing came. Never readable by anybody. */
  uploaded(upload: UploadKey): Promise<number>
  /**
   * Puts bytes at `offset`, as they come; what came before `bytes` threw is there. The same bytes at the same place again are
   * harmless. Does nothing when the upload is shorter than `offset`.
   */
  write(upload: UploadKey, offset: number, bytes: AsyncIterable<Uint8Array>): Promise<void>
  /**
   * Ends an upload: true once bytes of this length and hash are stored, by whomever; false when they are others, which are
   * thrown away. What is stored is what was checked, whatever is written to the upload meanwhile.
   */
  finish(upload: UploadKey, size: number): Promise<boolean>
  /** Everything that is stored. */
  list(): AsyncIterable<StoredAttachment>
  /** Remembers since when nothing names it; null: something does. */
  mark(key: AttachmentKey, unnamedSince: string | null): Promise<void>
  /**
   * Takes it out of sight, then asks `isNamed`, and once more when nobody else can reach it, so that nobody is told it was
   * there after nobody named it; brings it back if so, else removes it. Resolves with whether it is gone. One that was cut short is in the list, and may be repeated.
   */
  remove(key: AttachmentKey, isNamed: () => Promise<boolean>): Promise<boolean>
  /** Removes uploads that nothing was written to since this ISO time. Resolves with their count. */
  forgetUploads(before: string): Promise<number>
}
