import type { Environment } from '@holdfast/core'
import { Gauge, type Registry } from 'prom-client'

import type { IngestStats } from '../queue/ingest.ts'

/** Where the numbers come from. */
export interface IngestSource {
  readonly stats: () => Promise<IngestStats>
  /** Requests turned away since the start. */
  readonly turnedAway: () => number
}

/** Gauges of queued pushes, read at each scrape. Rules: QU-12. */
export function ingestMetrics(
  registry: Registry,
  source: IngestSource,
  env: Pick<Environment, 'now'>,
): () => Promise<void> {
  const gauge = (name: string, help: string): Gauge =>
    new Gauge({ name: `holdfast_${name}`, help, registers: [registry] })
  const waiting = gauge('receipts_waiting', 'Queued pushes that are not decided yet.')
  const oldest = gauge(
    'receipts_oldest_age_seconds',
    'Age of the oldest queued push that is not decided yet.',
  )
  const jobs = gauge('queue_jobs', 'Jobs in the queue; -1 when it cannot be asked.')
  const queued = gauge('pushes_queued', 'Pushes answered with a receipt, since this process started.')
  const loaded = gauge('ingest_loaded', '1 while `auto` queues.')
  const turnedAway = gauge(
    'requests_turned_away',
    'Requests turned away for load, since this process started.',
  )
  return async () => {
    const stats = await source.stats()
    waiting.set(stats.waiting)
    oldest.set(stats.oldestAt === null ? 0 : Math.max(0, env.now() - Date.parse(stats.oldestAt)) / 1_000)
    jobs.set(stats.jobs ?? -1)
    queued.set(stats.queued)
    loaded.set(stats.isLoaded ? 1 : 0)
    turnedAway.set(source.turnedAway())
  }
}
