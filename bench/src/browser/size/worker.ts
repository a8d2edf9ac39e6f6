export { serveClient } from '@holdfast/client/browser-worker'
