import type { AttachmentUpload } from '@holdfast/client'
import { useMemo } from 'react'

import { keepIdentities } from '../store/keep-identities.ts'
import { emptyList, type LiveState, liveStateOf } from './live-list.ts'
import { useSource } from './use-source.ts'

/** Uploads of attachments that are not over, oldest first. */
export interface UploadsResult extends LiveState {
  readonly uploads: readonly AttachmentUpload[]
}

/** What of attachments the server does not have yet. Rules: RE-6. */
export function useUploads(): UploadsResult {
  const snapshot = useSource<readonly AttachmentUpload[]>(
    'uploads',
    ({ attachments }) =>
      (tell) =>
        attachments.watch(
          keepIdentities(({ collection, record, hash }) => `${collection} ${record} ${hash}`, tell),
        ),
  )
  return useMemo(() => ({ uploads: snapshot.value ?? emptyList, ...liveStateOf(snapshot) }), [snapshot])
}
