import { createWorker, type HoldfastWorker, type WorkerOptions } from '@holdfast/server'

import { CommandError, firstLine } from './command-error.ts'
import type { GivenOptions } from './given-options.ts'
import { listen, parsePort } from './http-listener.ts'
import { failureLogger, lineLogger } from './line-logger.ts'
import { loadOptions } from './load-options.ts'
import { nextSignal } from './next-signal.ts'

/** The worker looks so often whether it is still wanted, ms: nothing else keeps a process alive whose Redis is gone. */
const aliveMs = 60_000
/** A question about its health that has not ended this long after the signal is cut off, ms. */
const drainMs = 1_000

/** `holdfast worker`: applies queued pushes, and tells of events, until a signal comes, then drains; resolves with the exit code. Rules: QU-13, EV-17. */
export async function runWorker(given: GivenOptions, file: string | undefined): Promise<number> {
  const options = await loadOptions('worker', file)
  const port = given.port === undefined ? undefined : parsePort(given.port)
  const signal = nextSignal()
  const alive = setInterval(() => undefined, aliveMs)
  try {
    const worker = await startWorker(options, given)
    try {
      const health =
        port === undefined ? undefined : await listen({ fetch: answerHealth(worker), host: '0.0.0.0', port })
      process.stdout.write(`${describeWork(options)}\n`)
      await signal
      await Promise.all([worker.close(), health?.drain(Promise.resolve(), drainMs)])
    } finally {
      await worker.close()
    }
  } finally {
    clearInterval(alive)
  }
  return 0
}

/** `/healthz` as long as the process answers, `/readyz` as long as its store does: as a server has them. */
function answerHealth({ isReady }: HoldfastWorker): (request: Request) => Promise<Response> {
  return async ({ url }) => {
    const { pathname } = new URL(url)
    if (pathname === '/healthz') return new Response('ok')
    if (pathname !== '/readyz') return new Response('there is nothing at this address', { status: 404 })
    return (await isReady())
      ? new Response('ready')
      : new Response('the store does not answer', { status: 503 })
  }
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

/** What it does, in one line. */
function describeWork({ ingest, onCommit, webhooks, retention, attachments }: WorkerOptions): string {
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
    ...(attachments ? ['sweeping attachments'] : []),
  ]
  return parts.join(', ')
}

function parseConcurrency(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (count >= 1) return count
  throw new CommandError(`--concurrency is a whole number from 1, not "${text}".`)
}
