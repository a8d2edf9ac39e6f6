import { createHooks } from '@holdfast/react'

import { schema } from '../warehouse/schema.ts'

export const {
  HoldfastProvider,
  useClient,
  useConflicts,
  useLiveQuery,
  useMutation,
  useRecord,
  useSyncStatus,
} = createHooks(schema)
