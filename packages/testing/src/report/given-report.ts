import {
  collection,
  counter,
  defineSchema,
  integer,
  json,
  reference,
  type Schema,
  set,
  text,
} from '@holdfast/core'

import { type GivenHistory, givenHistory } from '../check/given-history.ts'
import { ReportCollector } from './collect-report.ts'
import type { SimulationReport } from './report.ts'

/** A schema of which hand-made histories tell. */
export const givenSchema: Schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        site: text(),
        status: text({ default: '' }),
        price: integer({ default: 0 }),
        shelf: text({ merge: 'latest', default: '' }),
        details: json({ optional: true }),
        street: text({ default: '' }),
        city: text({ default: '' }),
        house: integer({ default: 0 }),
        stock: counter(),
        tags: set(text()),
        sku: text({ default: '' }),
      },
      scope: 'site:{site}',
      groups: { address: ['street', 'city', 'house'] },
      unique: [['site', 'sku'], { fields: ['site', 'shelf'], onConflict: 'rename' }],
    }),
    permits: collection({ fields: { site: text(), level: integer() }, scope: 'site:{site}', strict: true }),
    wards: collection({
      fields: { site: text(), floor: integer() },
      scope: 'site:{site}',
      unique: [['site', 'floor']],
    }),
    desks: collection({
      fields: { site: text(), label: text() },
      scope: 'site:{site}',
      unique: [{ fields: ['site', 'label'], onConflict: 'rename' }],
    }),
    lines: collection({
      fields: { site: text(), item: reference('items') },
      scope: 'site:{site}',
      onDelete: 'delete',
      unique: [{ fields: ['item'], onConflict: 'ask' }],
    }),
  },
})

/** A device `d1` of `ann` and a device `d2` of `ben`, who see site a. */
export function givenTwoDevices(): GivenHistory {
  const history = givenHistory()
  const atMs = 0
  for (const [disk, user] of [
    ['d1', 'ann'],
    ['d2', 'ben'],
  ] as const) {
    history.add({ kind: 'grants', atMs, user, scopes: ['site:a'] })
    history.add({ kind: 'identity', atMs, disk, device: disk.toUpperCase(), user })
  }
  return history
}

/** What a report says of one run. */
export function reportOf(
  history: GivenHistory,
  plan: Parameters<ReportCollector['start']>[0] = { devices: [], steps: [], chaosMs: 0 },
): SimulationReport {
  const collector = new ReportCollector(givenSchema)
  const observe = collector.start(plan)
  for (const observation of history.list) observe(observation)
  collector.finish(1, { operations: 0, virtualMs: history.atMs, faults: {}, violations: [] })
  return collector.report({ firstSeed: 1, devices: 2, days: 1, assumptions: [] })
}
