export { retryLater, sendSealedBatches } from '@holdfast/client/service-worker'
