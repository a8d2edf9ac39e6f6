export { type BrowserClientOptions, openBrowserClient } from './open-browser-client.ts'
