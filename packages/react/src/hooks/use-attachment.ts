import type { AttachmentValue, CancelTimer, Environment } from '@holdfast/core'
import { useMemo } from 'react'

import { useHoldfast } from '../holdfast-context.ts'
import type { StartSource } from '../store/shared-source.ts'
import { type LiveState, liveStateOf } from './live-list.ts'
import { useSource } from './use-source.ts'

/** Which record an attachment is of. */
export interface AttachmentOwner<Collection extends string = string> {
  readonly collection: Collection
  /** Its id. */
  readonly record: string
}

/** The bytes of an attachment, as the page can show them. */
export interface AttachmentResult extends LiveState {
  /** `blob:` address for an image or a link, good for as long as somebody uses the hook; null until the bytes are here. */
  readonly url: string | null
}

/** The first wait before bytes that could not be had are asked for again, and the longest, ms. */
const [firstWaitMs, waitMaxMs] = [2_000, 60_000]

/**
 * The bytes of an attachment, fetched when they are not on this device; null asks for nothing. While they cannot be had it
 * says why (`ATTACHMENT_MISSING`: the device that took the photo has not sent it yet; `OFFLINE`) and asks again. Rules: RE-16.
 */
export function useAttachment(owner: AttachmentOwner, attachment: AttachmentValue | null): AttachmentResult {
  const { env } = useHoldfast()
  const { collection, record } = owner
  const snapshot = useSource<string>(
    attachment === null ? null : `attachment ${collection} ${record} ${attachment.hash}`,
    ({ attachments }) => {
      // Asked for only with a key, and the key has the hash.
      const wanted = attachment as AttachmentValue
      const read = (): Promise<Uint8Array> => attachments.read({ collection, record }, wanted)
      return addressOf(read, wanted.mediaType, env)
    },
  )
  return useMemo(() => ({ url: snapshot.value ?? null, ...liveStateOf(snapshot) }), [snapshot])
}

function addressOf(
  read: () => Promise<Uint8Array>,
  mediaType: string | undefined,
  env: Pick<Environment, 'setTimer'>,
): StartSource<string> {
  return (tell, fail) => {
    let address: string | undefined
    let isStopped = false
    let cancel: CancelTimer = () => undefined
    const attempt = (waitMs: number): void => {
      read().then(
        (bytes) => {
          if (isStopped) return
          // The copy is of an ArrayBuffer of its own, which is what a Blob takes.
          address = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type: mediaType ?? '' }))
          tell(address)
        },
        (error: unknown) => {
          if (isStopped) return
          fail(error)
          cancel = env.setTimer(() => attempt(Math.min(2 * waitMs, waitMaxMs)), waitMs)
        },
      )
    }
    attempt(firstWaitMs)
    return () => {
      isStopped = true
      cancel()
      if (address !== undefined) URL.revokeObjectURL(address)
    }
  }
}
