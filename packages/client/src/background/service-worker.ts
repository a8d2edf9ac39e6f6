export { backgroundTag, type SealedBatch, type SealedToken } from './sealed-batch.ts'
export type { SyncRequest } from '../transport/make-request.ts'
export { indexedDbSealedStore, type SealedStore } from './sealed-store.ts'
export {
  eraseSealedBatches,
  retryLater,
  type SealedFor,
  type SendOptions,
  type SendOutcome,
  type SendReport,
  sendSealedBatches,
} from './send-sealed-batches.ts'
