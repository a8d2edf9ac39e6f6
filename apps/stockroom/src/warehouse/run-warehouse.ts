import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { StockroomOptions } from '../options.ts'
import { startWarehouseServer, type WarehouseServer } from './warehouse-server.ts'
import { buildApp } from './web-app.ts'

/** Where the app is served unless another port is asked for. A browser keeps what is stored by port. */
const usualPort = 4280

/** Builds the app, serves it and stays up until it is told to end. Resolves with the exit code. */
export async function runWarehouse({ port, folder }: StockroomOptions): Promise<number> {
  const stopped = new Promise<number>((resolve) => {
    process.once('SIGINT', () => resolve(0))
    process.once('SIGTERM', () => resolve(0))
  })
  const startedMs = performance.now()
  const app = await buildApp()
  process.stdout.write(`Stockroom is built, in ${((performance.now() - startedMs) / 1000).toFixed(1)} s.\n`)
  await mkdir(folder, { recursive: true })
  const storePath = join(folder, 'warehouse.sqlite')
  const server = await serve((at) => startWarehouseServer({ storePath, port: at, app }), port)
  process.stdout.write(`
  Two workers and the office, side by side   ${server.url}/
  The app alone, to sign in and install      ${server.url}/app/

What the server stores is in ${folder}.
The tour of the terminal: npm start -- --tour. Ctrl+C ends this.
`)
  const exitCode = await stopped
  await server.close()
  return exitCode
}

/** Takes the usual port, or any free one where that is taken and none was asked for. */
async function serve(
  start: (port: number) => Promise<WarehouseServer>,
  port: number | null,
): Promise<WarehouseServer> {
  try {
    return await start(port ?? usualPort)
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    if (port !== null || !isTaken) throw error
    process.stdout.write(`Port ${usualPort} is taken, so this is another device to the browser.\n`)
    return start(0)
  }
}
