import { collection, counter, defineSchema, reference, text } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import type { Checker } from './check/checker.ts'
import { simulate, type SimulateOptions } from './simulate.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    shops: collection({ fields: { name: text() } }),
    sales: collection({
      fields: { shopId: reference('shops'), state: text({ default: '' }), pieces: counter() },
      scope: 'shop:{shopId}',
    }),
    notes: collection({
      fields: { ownerId: text(), body: text({ merge: 'latest' }) },
      scope: 'user:{ownerId}',
    }),
  },
})

const small: SimulateOptions = { schema, devices: 3, days: 1, edits: 6, offlineMs: 3_600_000, faults: 'none' }

describe('a schema of somebody', () => {
  test('[SIM-72] keeps every promise, and the same options give the same report', async () => {
    const report = await simulate(small)
    expect(report).toMatchObject({ failures: [], seeds: { first: 1, count: 1 }, devices: 3, days: 1 })
    expect(report.operations).toBeGreaterThan(50)
    expect(
      report.deadLetters.filter(({ code }) => code === 'SCOPE_DENIED' || code === 'REFERENCE_MISSING'),
    ).toEqual([])
    expect(report.traffic.bytesUp / report.traffic.edits).toBeGreaterThan(100)
    expect(report.latency.verdict.online.count).toBeGreaterThan(10)
    expect(report.assumptions).toEqual([
      'no scope (`global`): everybody sees every row.',
      '`shop:{shopId}`: each team has 2 of them, and everybody in it sees both.',
      '`user:{ownerId}`: everybody has one of their own.',
    ])
    expect(await simulate(small)).toEqual(report)
  })

  test('[SIM-71] what there is to work on wants no key twice, and all of it is there when the first day begins', async () => {
    const shelves = defineSchema({
      version: 1,
      collections: {
        goods: collection({
          fields: { site: text(), code: text(), label: text({ maxLength: 4 }) },
          scope: 'site:{site}',
          unique: [['site', 'code'], { fields: ['label'], onConflict: 'rename' }],
        }),
        levels: collection({
          fields: { site: text(), item: reference('goods'), pieces: counter() },
          scope: 'site:{site}',
          unique: [['site', 'item']],
        }),
        guards: collection({
          fields: { site: text(), item: reference('goods') },
          scope: 'site:{site}',
          unique: [{ fields: ['item'], onConflict: 'ask' }],
        }),
      },
    })
    const outcomes: string[] = []
    const watch: Checker = {
      name: 'opening',
      promise: 'Is watched.',
      start: () => (o) => {
        if (o.kind === 'outcome' && o.atMs < 180_000) outcomes.push(o.status)
      },
    }
    await simulate({ ...small, schema: shelves, edits: 1, seeds: 3, checkers: [watch] })
    expect(outcomes.filter((status) => status !== 'applied')).toEqual([])
    expect(outcomes.length).toBeGreaterThan(3 * 150)
  })

  test('[SIM-70] in a collection whose conflicts are for reviewers, everybody is one', async () => {
    const pages = defineSchema({
      version: 1,
      collections: { pages: collection({ fields: { title: text(), body: text() }, review: true }) },
    })
    const report = await simulate({ ...small, schema: pages, devices: 6, edits: 40 })
    expect(report.failures).toEqual([])
    expect(report.lost.filter(({ rule }) => rule === 'person').length).toBeGreaterThan(0)
    expect(report.deadLetters.filter(({ code }) => code === 'NOT_AUTHORIZED')).toEqual([])
    expect(report.assumptions).toEqual([
      'no scope (`global`): everybody sees every row.',
      '`pages` has `review`: everybody may decide about what they see.',
    ])
  })

  test('[SIM-77] a broken promise is named with its seed', async () => {
    const report = await simulate({
      ...small,
      seed: 9,
      checkers: [
        {
          name: 'no-sale',
          promise: 'Nothing is ever sold.',
          start: (fail) => (o) => {
            if (o.kind === 'entry-written' && o.collection === 'sales') fail(`${o.record} was sold`)
          },
        },
      ],
    })
    expect(report.failures).toHaveLength(1)
    expect(report.failures[0]).toMatchObject({ seed: 9, violation: { invariant: 'no-sale' } })
    expect(report.failures[0]?.count).toBeGreaterThan(10)
  })

  test('[SIM-77] runs follow one another until somebody says that it is enough', async () => {
    const told: string[] = []
    const { seeds } = await simulate({
      ...small,
      seeds: 5,
      progress: ({ seeds: done, share }) => {
        if (share === 0) told.push(`${done} done`)
        return done < 2
      },
    })
    expect(seeds).toEqual({ first: 1, count: 2 })
    expect(told).toEqual(['1 done', '2 done'])
  })
})
