import type { Environment, PushResult } from '@holdfast/core'
import { Counter, Gauge, Histogram, Registry, Summary } from 'prom-client'

import type { Engine, EngineStats } from '../engine.ts'
import type { Events } from '../events/events.ts'
import { eventMetrics } from './event-metrics.ts'
import { createExhaustedCount } from './exhausted-count.ts'
import { ingestMetrics, type IngestSource } from './ingest-metrics.ts'
import { createSuccessRate } from './success-rate.ts'

/** One answered request, as metrics see it. */
export interface AnsweredRequest {
  /** The pattern, never the path: a label must not be made by whoever sends requests. */
  readonly route: string
  readonly method: string
  readonly status: number
  readonly durationMs: number
  readonly result: string
}

/** The numbers of one server, in a registry of their own. Rules: OP-5 to OP-8. */
export interface Metrics {
  readonly contentType: string
  requestAnswered(request: AnsweredRequest): void
  pushAnswered(results: readonly PushResult[]): void
  streamOpened(): void
  streamEnded(): void
  /** A poke left, this long after the commit it is about. */
  pokeSent(lagMs: number): void
  /** A device fetched ranges again that were not what they should have been. */
  rangesRepaired(count: number): void
  /** Bytes of attachments that came, or that were asked for. */
  attachmentBytes(direction: 'received' | 'sent', count: number): void
  /** Prometheus text, with gauges read from the store now. */
  text(): Promise<string>
}

/** What metrics are read from. */
export interface MetricsSource {
  readonly engine: Pick<Engine, 'stats'>
  readonly ingest: IngestSource
  readonly events: Pick<Events, 'stats'>
  readonly env: Pick<Environment, 'now'>
  readonly entryAttempts: number
  /** Names of the schema: each has a conflict rate from the start. */
  readonly collections: Iterable<string>
}

/** Requests that count as a sync: the steps of a device's loop. */
const syncRoutes: ReadonlySet<string> = new Set([
  '/sync/push',
  '/sync/pull',
  '/sync/snapshot',
  '/sync/{collection}',
])

const knownMethods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
])

/** Seconds: from a local answer to the longest a device waits (limits.requestTimeoutMs). */
const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 45]

/** The numbers of one server. */
export function createMetrics(source: MetricsSource): Metrics {
  const registry = new Registry()
  const requests = requestMetrics(registry)
  const exhausted = createExhaustedCount(source.entryAttempts)
  const refresh = storeMetrics(registry, source)
  const refreshIngest = ingestMetrics(registry, source.ingest, source.env)
  const refreshEvents = eventMetrics(registry, () => source.events.stats())
  const streams = new Gauge({
    name: 'holdfast_streams',
    help: 'Live streams that are open.',
    registers: [registry],
  })
  const feedLag = new Histogram({
    name: 'holdfast_feed_lag_seconds',
    help: 'Time from a commit to the poke of a stream it concerns.',
    buckets: latencyBuckets,
    registers: [registry],
  })
  const exhaustedGauge = new Gauge({
    name: 'holdfast_retry_exhausted_count',
    help: 'Mutations answered "retry" so often that their devices gave them up, since this process started.',
    registers: [registry],
  })
  const repairs = new Counter({
    name: 'holdfast_repairs_total',
    help: 'Ranges that devices fetched again because their copy differed: each is a bug.',
    registers: [registry],
  })
  const attachmentBytes = new Counter({
    name: 'holdfast_attachment_bytes_total',
    help: 'Bytes of attachments that were received, or begun to be sent, since this process started.',
    labelNames: ['direction'],
    registers: [registry],
  })
  return {
    contentType: registry.contentType,
    requestAnswered: requests,
    pushAnswered: (results) => exhausted.add(results),
    streamOpened: () => streams.inc(),
    streamEnded: () => streams.dec(),
    pokeSent: (lagMs) => feedLag.observe(lagMs / 1_000),
    rangesRepaired: (count) => repairs.inc(count),
    attachmentBytes: (direction, count) => attachmentBytes.inc({ direction }, count),
    text: async () => {
      refresh(await source.engine.stats())
      await refreshIngest()
      await refreshEvents()
      exhaustedGauge.set(exhausted.count())
      return registry.metrics()
    },
  }
}

function requestMetrics(registry: Registry): (request: AnsweredRequest) => void {
  const registers = [registry]
  const total = new Counter({
    name: 'holdfast_requests_total',
    help: 'Requests answered.',
    labelNames: ['route', 'method', 'status'],
    registers,
  })
  const syncs = new Counter({
    name: 'holdfast_sync_requests_total',
    help: 'Sync requests answered, by what came of them.',
    labelNames: ['result'],
    registers,
  })
  const latency = new Summary({
    name: 'holdfast_sync_latency_seconds',
    help: 'Time to answer a sync request, over the last ten minutes.',
    labelNames: ['route'],
    percentiles: [0.5, 0.95, 0.99],
    maxAgeSeconds: 600,
    ageBuckets: 5,
    registers,
  })
  const duration = new Histogram({
    name: 'holdfast_request_duration_seconds',
    help: 'Time to answer a request.',
    labelNames: ['route'],
    buckets: latencyBuckets,
    registers,
  })
  const rate = createSuccessRate()
  new Gauge({
    name: 'holdfast_sync_success_rate',
    help: 'Share of the newest 1,000 sync requests that succeeded; 1 before there was any.',
    registers,
    collect() {
      this.set(rate.value())
    },
  })
  return ({ route, method, status, durationMs, result }) => {
    const seconds = durationMs / 1_000
    total.inc({ route, method: knownMethods.has(method) ? method : 'other', status })
    duration.observe({ route }, seconds)
    if (!syncRoutes.has(route)) return
    syncs.inc({ result })
    latency.observe({ route }, seconds)
    rate.add(result === 'success')
  }
}

/** Gauges that are read from the store at each scrape. */
function storeMetrics(registry: Registry, { env, collections }: MetricsSource): (stats: EngineStats) => void {
  const registers = [registry]
  const gauge = (name: string, help: string): Gauge =>
    new Gauge({ name: `holdfast_${name}`, help, registers })
  const queueDepth = gauge(
    'queue_depth',
    'Mutations that devices last reported as waiting in their outboxes.',
  )
  const oldestPending = gauge(
    'oldest_pending_age_seconds',
    'Age of the oldest mutation a device reported as waiting.',
  )
  const openConflicts = gauge('open_conflicts', 'Conflicts that wait for a person.')
  const escrowWaiting = gauge('escrow_waiting', 'Mutations in escrow that wait for an operator.')
  const devices = gauge('devices', 'Devices that were ever seen.')
  const head = gauge('feed_head', 'Newest position of the feed.')
  const horizon = gauge('feed_horizon', 'Oldest position a cursor may have.')
  const duplicates = gauge(
    'duplicates',
    'Mutations answered from stored outcomes, since this process started.',
  )
  const verdicts = new Gauge({
    name: 'holdfast_verdicts',
    help: 'Verdicts on mutations, since this process started.',
    labelNames: ['collection', 'status'],
    registers,
  })
  const conflictRate = new Gauge({
    name: 'holdfast_conflict_rate',
    help: 'Share of verdicts that were a conflict, by collection, since this process started.',
    labelNames: ['collection'],
    registers,
  })
  for (const collection of collections) conflictRate.set({ collection }, 0)
  const rejections = new Gauge({
    name: 'holdfast_rejections',
    help: 'Rejected mutations by code, since this process started.',
    labelNames: ['code'],
    registers,
  })
  return (stats) => {
    queueDepth.set(stats.pendingCount)
    const oldestMs = stats.oldestPendingAt === null ? env.now() : Date.parse(stats.oldestPendingAt)
    oldestPending.set(Math.max(0, env.now() - oldestMs) / 1_000)
    openConflicts.set(stats.openConflicts)
    escrowWaiting.set(stats.escrowWaiting)
    devices.set(stats.devices)
    head.set(stats.head)
    horizon.set(stats.horizon)
    duplicates.set(stats.duplicates)
    for (const { collection, status, count } of stats.verdicts) verdicts.set({ collection, status }, count)
    for (const { code, count } of stats.rejections) rejections.set({ code }, count)
    for (const [collection, rate] of conflictRates(stats.verdicts)) conflictRate.set({ collection }, rate)
  }
}

function conflictRates(verdicts: EngineStats['verdicts']): ReadonlyMap<string, number> {
  const totals = new Map<string, { all: number; conflicts: number }>()
  for (const { collection, status, count } of verdicts) {
    const total = totals.get(collection) ?? { all: 0, conflicts: 0 }
    total.all += count
    total.conflicts += status === 'conflict' ? count : 0
    totals.set(collection, total)
  }
  return new Map(
    [...totals].map(([collection, { all, conflicts }]) => [collection, all === 0 ? 0 : conflicts / all]),
  )
}
