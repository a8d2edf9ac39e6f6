export { opfsStorage } from '../drivers/opfs.ts'
export { serveClient, type ServeClientOptions } from './serve-client.ts'
