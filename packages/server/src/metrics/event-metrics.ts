import { Gauge, type Registry } from 'prom-client'

import type { ConsumerStats } from '../events/events.ts'

/** Gauges of handlers and webhooks, read at each scrape. Labels are the names the host gave. Rules: EV-14. */
export function eventMetrics(
  registry: Registry,
  read: () => Promise<readonly ConsumerStats[]>,
): () => Promise<void> {
  const gauge = (name: string, help: string): Gauge<'consumer'> =>
    new Gauge({ name: `holdfast_events_${name}`, help, labelNames: ['consumer'], registers: [registry] })
  const lag = gauge('lag_seconds', 'Age of the oldest change that a handler or webhook has not looked at.')
  const waiting = gauge('waiting', 'Events that will be tried again, or wait behind such a one.')
  const dead = gauge('dead_letters', 'Events that were given up.')
  const delivered = gauge('delivered', 'Events delivered by this process since it started.')
  const failures = gauge('failures', 'Attempts of this process that failed since it started.')
  return async () => {
    for (const { consumer, ...numbers } of await read()) {
      lag.set({ consumer }, numbers.lagMs / 1_000)
      waiting.set({ consumer }, numbers.waiting)
      dead.set({ consumer }, numbers.dead)
      delivered.set({ consumer }, numbers.delivered)
      failures.set({ consumer }, numbers.failures)
    }
  }
}
