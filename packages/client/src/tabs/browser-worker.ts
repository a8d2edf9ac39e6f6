export { browserStorage } from '../drivers/browser-storage.ts'
export { indexedDbStorage } from '../drivers/indexed-db.ts'
export { opfsStorage } from '../drivers/opfs.ts'
export { serveClient, type ServeClientOptions } from './serve-client.ts'
