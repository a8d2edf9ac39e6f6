export { backgroundTag, type SealedToken } from '../background/sealed-batch.ts'
export { eraseSealedBatches } from '../background/send-sealed-batches.ts'
export {
  type BackgroundOptions,
  type BrowserClientOptions,
  openBrowserClient,
} from './open-browser-client.ts'
