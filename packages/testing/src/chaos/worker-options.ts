/** What `holdfast worker` loads in a chaos run. The process is gone when its stdin ends, as whoever started it is then. */
import type { WorkerOptions } from '@holdfast/server'

import { orderVariable, type ServerOrder, serverOptions } from './server-order.ts'

process.stdin.on('end', () => process.exit(0)).resume()
// By itself it keeps no process: a worker that cannot start ends.
if ('unref' in process.stdin) process.stdin.unref()

// The conductor, its only caller, writes the variable in this shape.
export const options = (): WorkerOptions =>
  serverOptions(JSON.parse(process.env[orderVariable] ?? '') as ServerOrder)
