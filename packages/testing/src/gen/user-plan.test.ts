import { collection, counter, defineSchema, set, text } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import type { Action, Plan } from '../sim/plan.ts'
import { type UserPlanOptions, userPlan } from './user-plan.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: { site: text(), name: text(), stock: counter(), tags: set(text()) },
      scope: 'site:{site}',
    }),
    log: collection({ fields: { site: text() }, scope: 'site:{site}' }),
  },
})

const hourMs = 3_600_000
const options: UserPlanOptions = {
  schema,
  devices: 12,
  days: 2,
  edits: 10,
  offlineMs: 4 * hourMs,
  faults: 'usual',
}

const writes = new Set(['insert', 'update', 'count', 'tag', 'delete', 'recreate', 'move', 'group'])

function countOf(plan: Plan, isMeant: (action: Action) => boolean): number {
  return plan.steps.filter(({ action }) => isMeant(action)).length
}

describe('the plan of a team at work', () => {
  test('[SIM-71] the same seed and options give the same plan, and another seed another', () => {
    expect(userPlan(7, options)).toEqual(userPlan(7, options))
    expect(userPlan(8, options)).not.toEqual(userPlan(7, options))
  })

  test('[SIM-71] everybody makes so many edits on every day, all in time', () => {
    const plan = userPlan(1, options)
    expect(countOf(plan, ({ kind }) => writes.has(kind))).toBe(12 * 2 * 10)
    expect(plan.steps.every(({ atMs }, place) => atMs >= (plan.steps[place - 1]?.atMs ?? 0))).toBe(true)
    expect(plan.steps.at(-1)?.atMs).toBeLessThan(plan.chaosMs)
  })

  test('[SIM-71] nothing is asked of a collection that has no field for it', () => {
    const plan = userPlan(3, { ...options, edits: 60 })
    const kinds = plan.steps.flatMap(({ action }) =>
      'collection' in action && action.collection === 'log' ? [action.kind] : [],
    )
    expect(kinds).toContain('insert')
    for (const kind of ['update', 'count', 'tag'] as const) expect(kinds).not.toContain(kind)
  })

  test('[SIM-71] about half of the people are offline for as long as was said, each day', () => {
    const plan = userPlan(1, options)
    const spans = plan.steps.flatMap(({ action }) => (action.kind === 'offline' ? [action.forMs] : []))
    expect(spans.length).toBeGreaterThan(5)
    expect(spans.length).toBeLessThan(20)
    expect(new Set(spans)).toEqual(new Set([4 * hourMs]))
    expect(countOf(userPlan(1, { ...options, offlineMs: 0 }), ({ kind }) => kind === 'offline')).toBe(0)
  })

  test('[SIM-71] teams have ten devices, people one or two', () => {
    const { devices, tenants } = userPlan(1, { ...options, devices: 24 })
    expect(tenants).toBe(3)
    expect(new Set(devices.map(({ user }) => user)).size).toBe(21)
    for (const { user, tenant } of devices) expect(devices[user]).toMatchObject({ tenant })
  })

  test('[SIM-71] without faults nothing goes wrong but that people are offline', () => {
    const plan = userPlan(1, { ...options, faults: 'none' })
    expect(plan.network).toMatchObject({ loseRequest: 0, cut: 0, tail: 0 })
    expect(plan.devices.every(({ clockOffsetMs }) => clockOffsetMs === 0)).toBe(true)
    const kinds = new Set(plan.steps.map(({ action }) => action.kind))
    for (const kind of ['crash', 'close', 'clog', 'power-cut', 'server-kill'] as const)
      expect(kinds.has(kind)).toBe(false)
  })

  test('[SIM-71] harsh means more of everything', () => {
    const usual = userPlan(1, options)
    const harsh = userPlan(1, { ...options, faults: 'harsh' })
    const isCrash = ({ kind }: Action): boolean => kind === 'crash' || kind === 'power-cut'
    expect(countOf(harsh, isCrash)).toBeGreaterThan(countOf(usual, isCrash))
    expect(harsh.network.loseAnswer).toBeGreaterThan(usual.network.loseAnswer)
    expect(countOf(harsh, ({ kind }) => kind === 'server-kill')).toBe(2)
  })
})
