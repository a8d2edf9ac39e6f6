import { describe, expect, test } from 'vitest'

import { newColumns } from './app-of-plan.ts'
import { generatePlan } from './generate-plan.ts'
import { type App, randomApp } from './random-app.ts'

const apps: readonly App[] = Array.from({ length: 120 }, (_, index) => randomApp(index + 1))
const collections = apps.flatMap(({ schema }) => [...schema.collections.values()])

/** What of a field or a collection is decided by chance. */
const texts: ReadonlySet<string> = new Set(
  collections.flatMap((each) => [
    ...each.fields.map(({ kind, merge }) => `${kind} ${merge.rule}`),
    ...each.fields.map(({ owner }) => `owner ${owner}`),
    ...each.groups.map(({ merge }) => `group ${merge.rule}`),
    ...each.unique.map(({ onConflict }) => `unique ${onConflict}`),
    `deletes ${each.deletes}`,
    `onDelete ${each.onDelete}`,
    `outbox ${each.outbox}`,
    `strict ${each.strict}`,
    `review ${each.review}`,
    `scopes ${each.scopes.length}`,
    `priority ${each.priority}`,
  ]),
)

describe('apps of chance', () => {
  test('[SIM-106] the same seed gives the same app, another one another', () => {
    const told = (app: App): string => JSON.stringify([...app.schema.collections.values()])
    expect(told(randomApp(7))).toBe(told(apps[6] ?? randomApp(0)))
    expect(new Set(apps.map(told)).size).toBe(apps.length)
  })

  test('[SIM-106] whatever a schema can say is in some of them', () => {
    const wanted = [
      'integer max, decimal min, real latest, timestamp ask, boolean server, json ask, text paragraphs, text transitions',
      'counter add, set union, reference ask, attachment ask, owner server, group ask, group latest, group server',
      'unique ask, unique rename, unique reject, deletes hard, deletes soft, onDelete ask, onDelete edit, onDelete delete',
      'outbox preserve, outbox coalesce, strict true, strict false, review true, scopes 1, scopes 2, priority 0, priority 5',
    ]
    expect(wanted.flatMap((line) => line.split(', ')).filter((text) => !texts.has(text))).toEqual([])
  })

  test('[SIM-106] the app of before knows some of it, and what is new has a value without anybody writing it', () => {
    const lacks = (app: App): boolean =>
      [...app.schema.collections.keys()].some((name) => !app.earlier.collections.has(name))
    expect(apps.filter(lacks).length).toBeGreaterThan(10)
    expect(apps.filter((app) => !lacks(app)).length).toBeGreaterThan(10)
    for (const app of apps) {
      expect(app.earlier.version).toBeLessThan(app.schema.version)
      for (const [name, values] of Object.entries(newColumns(app))) {
        for (const [field, value] of Object.entries(values)) {
          const declared = app.schema.collections.get(name)?.fieldsByName.get(field)
          expect(declared?.optional || declared?.default !== undefined).toBe(true)
          expect(value).toEqual(declared?.default ?? null)
        }
      }
    }
    expect(
      apps.some((app) => Object.values(newColumns(app)).some((each) => Object.keys(each).length > 2)),
    ).toBe(true)
  })

  test('[SIM-106] one seed of four has an app of its own, unless the app is given', () => {
    const plans = Array.from({ length: 200 }, (_, index) => generatePlan(index + 1, { operations: 20 }))
    const own = plans.filter(({ schemaSeed }) => schemaSeed !== undefined)
    expect(own.length).toBeGreaterThan(25)
    expect(own.length).toBeLessThan(80)
    for (const { seed, schemaSeed, steps } of own) {
      const { schema } = randomApp(schemaSeed ?? 0)
      expect(schemaSeed).toBe(seed)
      for (const { action } of steps)
        if ('collection' in action) expect(['', ...schema.collections.keys()]).toContain(action.collection)
      expect(generatePlan(seed, { schema, operations: 20 }).schemaSeed).toBeUndefined()
    }
  })
})
