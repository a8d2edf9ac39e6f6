import { createWorker, type HoldfastWorker, type WorkerOptions } from '@holdfast/server'

import { CommandError, firstLine } from './command-error.ts'
import type { GivenOptions } from './given-options.ts'
import { failureLogger, lineLogger } from './line-logger.ts'
import { loadModule } from './load-module.ts'
import { nextSignal } from './next-signal.ts'

/** The worker looks so often whether it is still wanted, ms: nothing else keeps a process alive whose Redis is gone. */
const aliveMs = 60_000

/** `holdfast worker`: applies queued pushes, and tells of events, until a signal comes, then drains; resolves with the exit code. Rules: QU-13, EV-17. */
export async function runWorker(given: GivenOptions, file: string | undefined): Promise<number> {
  if (file === undefined) throw new CommandError('worker needs a FILE. Try: holdfast help worker')
  const options = await loadOptions(file)
  const signal = nextSignal()
  const alive = setInterval(() => undefined, aliveMs)
  try {
    const worker = await startWorker(options, given)
    process.stdout.write(`${describeWork(options)}\n`)
    await signal
    await worker.close()
  } finally {
    clearInterval(alive)
  }
  return 0
}

async function startWorker(options: WorkerOptions, given: GivenOptions): Promise<HoldfastWorker> {
  const concurrency =
    given.concurrency === undefined ? {} : { concurrency: parseConcurrency(given.concurrency) }
  const logger = options.logger ?? (given.verbose === true ? lineLogger() : failureLogger())
  try {
    return await createWorker({ ...options, logger, ingest: { ...options.ingest, ...concurrency } })
  } catch (cause) {
    throw new CommandError(`the worker cannot start: ${firstLine(cause)}`, { cause })
  }
}

/** What a module exports as `options` or as its default, which may be a function that makes them. */
async function loadOptions(file: string): Promise<WorkerOptions> {
  const exported = await loadModule(file, 'server')
  const given = exported['options'] ?? exported['default']
  const options: unknown = isFunction(given) ? await given() : given
  if (isOptions(options)) return options
  throw new CommandError(
    `server file ${file} exports no options of createServer with a schema, a store, scopes, and ingest.redis, onCommit, webhooks or retention.`,
  )
}

function isFunction(value: unknown): value is () => unknown {
  return typeof value === 'function'
}

/** What it does, in one line. */
function describeWork({ ingest, onCommit, webhooks, retention }: WorkerOptions): string {
  const handlers = typeof onCommit === 'function' ? 1 : Object.keys(onCommit ?? {}).length
  const told = handlers + (webhooks?.length ?? 0)
  const parts = [
    ...(ingest?.redis === undefined
      ? []
      : [`applying the pushes of the queue ${ingest.queue ?? 'holdfast'}`]),
    ...(told === 0
      ? []
      : [`telling ${told} ${told === 1 ? 'handler or webhook' : 'handlers and webhooks'} of commits`]),
    ...(retention ? [`forgetting deletions after ${retention.tombstoneDays} days`] : []),
  ]
  return parts.join(', ')
}

/** Told by shape; what is wrong inside is told by `createWorker`. */
function isOptions(value: unknown): value is WorkerOptions {
  if (typeof value !== 'object' || value === null) return false
  const { schema, store, scopes, ingest, ...others } = value as Partial<Record<keyof WorkerOptions, unknown>>
  const hasQueue = typeof ingest === 'object' && ingest !== null && 'redis' in ingest
  const { onCommit, webhooks, retention } = others
  if (!hasQueue && (onCommit ?? webhooks ?? retention) === undefined) return false
  return typeof schema === 'object' && typeof store === 'object' && typeof scopes === 'function'
}

function parseConcurrency(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (count >= 1) return count
  throw new CommandError(`--concurrency is a whole number from 1, not "${text}".`)
}
