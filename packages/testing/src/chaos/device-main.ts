/**
 * A device of a chaos run, in a process of its own: a real file, real HTTP, and somebody who writes without end. Told
 * what to do by lines on stdin, and gone when they end.
 */
import { flushCompileCache } from 'node:module'
import { createInterface } from 'node:readline'

import { openClient, systemEnvironment } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'

import { SeededRandom } from '../seeded-random.ts'
import { chaosSchema } from './chaos-schema.ts'
import { reportOf } from './device-report.ts'
import { DeviceWork } from './device-work.ts'
import { Journal } from './journal.ts'

/** What a device is started with. */
export interface DeviceOrder {
  readonly path: string
  readonly url: string
  readonly user: string
  /** Unique among all processes of the run. */
  readonly author: string
  readonly seed: number
  readonly journal: string
  /** How wrong its clock is, ms. */
  readonly skewMs: number
  /** The longest pause between two writes, ms. */
  readonly paceMs: number
}

/** What a device is told. Each is answered by a line with the same `id`. */
export type DeviceCommand =
  | { readonly do: 'offline' | 'online' | 'rest' | 'sync' | 'settle' | 'report' | 'close' }
  /** The clock is put forward, or back. */
  | { readonly do: 'jump'; readonly ms: number }

// The conductor, its only caller, writes the argument in this shape.
const order = JSON.parse(process.argv[2] ?? '') as DeviceOrder
const random = new SeededRandom(order.seed)
let skewMs = order.skewMs
let isOffline = false
let isResting = false

const db = await openClient({
  schema: chaosSchema,
  storage: sqliteStorage(order.path),
  server: order.url,
  auth: order.user,
  env: {
    ...systemEnvironment,
    now: () => systemEnvironment.now() + skewMs,
    fetch: (request) =>
      isOffline ? Promise.reject(new TypeError('no network')) : systemEnvironment.fetch(request),
  },
})
const work = new DeviceWork({ db, journal: new Journal(order.journal), random, author: order.author })

async function write(): Promise<void> {
  while (!isResting) {
    await work.next()
    await new Promise((resolve) => setTimeout(resolve, random.below(order.paceMs + 1)))
  }
}

async function obey(command: DeviceCommand): Promise<unknown> {
  switch (command.do) {
    case 'offline':
    case 'online':
      isOffline = command.do === 'offline'
      return db.sync.setOnline(!isOffline)
    case 'jump':
      skewMs += command.ms
      return skewMs
    case 'rest':
      isResting = true
      return writing
    case 'settle':
      return work.settleAll()
    case 'sync':
      return db.sync.now()
    case 'report':
      return reportOf(db)
    case 'close':
      return db.close()
  }
}

const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const { id, ...command } = JSON.parse(line) as DeviceCommand & { readonly id: number }
  void obey(command).then((value) => {
    process.stdout.write(`${JSON.stringify({ id, value: value ?? null })}\n`)
    if (command.do === 'close') process.exit(0)
  })
})
lines.on('close', () => process.exit(0))
process.stdout.write('{"id":0,"value":"open"}\n')
const writing = write()
// Usually written at the end of a process, which here seldom comes in order.
flushCompileCache()
