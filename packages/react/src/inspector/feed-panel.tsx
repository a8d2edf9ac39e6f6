import type { ReactElement } from 'react'

import { useSyncStatus } from '../hooks/use-sync-status.ts'
import { useInspection } from './use-inspection.ts'

/** Where this device is in the feed, and what it counted. */
export function FeedPanel(): ReactElement {
  const inspected = useInspection()
  const status = useSyncStatus()
  if (inspected === undefined || status === undefined) return <p className="holdfast-hint">Reading…</p>
  const { inspection, metrics } = inspected
  const { identity, counts, rowCounts, scopes } = inspection
  const facts: readonly (readonly [string, string])[] = [
    ['phase', [status.phase, status.pausedBy, status.reason].filter((part) => part !== null).join(' · ')],
    ['account', identity.account ?? 'not known yet'],
    ['device', identity.device],
    ['server', identity.server ?? 'none'],
    ['schema', `version ${inspection.schemaVersion}`],
    ['cursor', inspection.cursor ?? 'none: a snapshot comes first'],
    ['scopes', scopes.join(', ') || 'none'],
    ['last sync', status.lastSyncAt ?? 'never'],
    ['rows', spelled(rowCounts)],
    ['under way', spelled(counts)],
    ['cycles', `${metrics.counts.successes} of ${metrics.counts.runs} got to their end`],
    ['latency', `p50 ${ms(metrics.sync_latency.p50)}, p95 ${ms(metrics.sync_latency.p95)}`],
    ['repairs', String(status.repairCount)],
    ['quarantined', String(status.quarantined.length)],
  ]
  return (
    <dl className="holdfast-inspector__facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function spelled(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

function ms(value: number | null): string {
  return value === null ? 'unknown' : `${value} ms`
}
