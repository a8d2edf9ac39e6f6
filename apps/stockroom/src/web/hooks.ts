import { createHooks } from '@holdfast/react'

import { schema } from '../warehouse/schema.ts'

export const {
  HoldfastProvider,
  useAttachment,
  useClient,
  useConflicts,
  useLiveQuery,
  useMutation,
  useRecord,
  useSyncStatus,
  useUploads,
} = createHooks(schema)
