import type { Schema } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import { shopSchema } from '../end-to-end/shop-schema.ts'
import type { Plan } from '../sim/plan.ts'
import { generatePlan, operationsOf } from './generate-plan.ts'
import { isUserAction } from './person.ts'

const plans: readonly Plan[] = Array.from({ length: 200 }, (_, index) => generatePlan(index + 1))

function shareOf(fits: (plan: Plan) => boolean): number {
  return plans.filter(fits).length / plans.length
}

function has(kind: string): (plan: Plan) => boolean {
  return (plan) => plan.steps.some(({ action }) => action.kind === kind)
}

function isUpdate(kind: string): boolean {
  return kind === 'app-update' || kind === 'server-update'
}

function isCalm({ network, storage, devices, steps }: Plan): boolean {
  const { delayMs: _delay, ...faults } = network
  const clocks = devices.flatMap(({ clockOffsetMs, clockDriftPpm }) => [clockOffsetMs, clockDriftPpm])
  const rates = [...Object.values(faults), ...Object.values(storage), ...clocks]
  return (
    rates.every((rate) => rate === 0) &&
    steps.every(({ action }) => isUserAction(action) || isUpdate(action.kind))
  )
}

describe('plans', () => {
  test('[SIM-26] the same seed gives the same plan, another one another', () => {
    expect(generatePlan(17)).toEqual(plans[16])
    expect(JSON.stringify(generatePlan(17))).toBe(JSON.stringify(plans[16]))
    expect(new Set(plans.map((plan) => JSON.stringify(plan.steps))).size).toBe(200)
  })

  test('[SIM-26] a plan is plain JSON, sorted by time, about devices and tenants there are', () => {
    for (const plan of plans) {
      expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
      const times = plan.steps.map(({ atMs }) => atMs)
      expect(times).toEqual(times.toSorted((left, right) => left - right))
      expect(times.every((atMs) => Number.isSafeInteger(atMs) && atMs >= 0 && atMs < plan.chaosMs)).toBe(true)
      expect(plan.steps.every(({ draw }) => draw >= 0 && draw < 2 ** 32 && Number.isSafeInteger(draw))).toBe(
        true,
      )
      const clones = plan.steps.filter(({ action }) => action.kind === 'clone').length
      const numbers = plan.steps.map(({ device }) => device)
      expect(Math.max(...numbers)).toBeLessThan(plan.devices.length + clones)
      expect(plan.devices.every(({ tenant }) => tenant < plan.tenants)).toBe(true)
      const tenantByUser = new Map(plan.devices.map(({ user, tenant }) => [user, tenant]))
      for (const { user, tenant } of plan.devices) expect(tenantByUser.get(user)).toBe(tenant)
    }
  })

  test('[SIM-105] in a third of the plans some devices have the app of before, and most are updated in the midst of it', () => {
    const isEarlier = ({ devices }: Plan): boolean => devices.some((device) => device.isEarlier)
    expect(shareOf(isEarlier)).toBeGreaterThan(0.2)
    expect(shareOf(isEarlier)).toBeLessThan(0.5)
    const early = plans.filter(isEarlier)
    const updates = (plan: Plan) => plan.steps.filter(({ action }) => action.kind === 'app-update')
    const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)
    const updated = sum(early.map((plan) => updates(plan).length))
    const all = sum(early.map(({ devices }) => devices.filter((device) => device.isEarlier).length))
    expect(updated / all).toBeGreaterThan(0.6)
    expect(updated / all).toBeLessThan(0.95)
    const migrated = early.filter(has('server-update'))
    expect(migrated.length / early.length).toBeGreaterThan(0.3)
    expect(migrated.every(({ isServerEarlier }) => isServerEarlier)).toBe(true)
    expect(plans.every((plan) => updates(plan).every(({ device }) => plan.devices[device]?.isEarlier))).toBe(
      true,
    )
    const places = early.flatMap((plan) => updates(plan).map(({ atMs }) => atMs / plan.chaosMs))
    expect(places.filter((place) => place > 0.2 && place < 0.8).length).toBeGreaterThan(places.length / 3)
  })

  test('[SIM-26] a plan asks for about as many operations as were wanted, in bursts', () => {
    for (const wanted of [50, 500, 2_000]) {
      const counts = [1, 2, 3, 4, 5].map((seed) => operationsOf(generatePlan(seed, { operations: wanted })))
      for (const count of counts) {
        expect(count).toBeGreaterThanOrEqual(wanted)
        expect(count).toBeLessThan(wanted + 700)
      }
    }
    const steps = plans.flatMap((plan) => plan.steps)
    const pauses = plans.reduce(
      (sum, plan) =>
        sum +
        plan.steps.filter(({ atMs }, place) => atMs - (plan.steps[place - 1]?.atMs ?? 0) > 10_000).length,
      0,
    )
    expect(steps.length / pauses).toBeGreaterThan(10)
  })

  test('[SIM-25] every action and every fault is in some of 200 plans', () => {
    const kinds = new Set(plans.flatMap(({ steps }) => steps.map(({ action }) => action.kind)))
    expect([...kinds].toSorted()).toEqual([
      'adopt',
      'app-update',
      'backup',
      'claim-code',
      'clock-jump',
      'clog',
      'clone',
      'close',
      'collect',
      'count',
      'crash',
      'delete',
      'disk-full',
      'foreign',
      'grant',
      'group',
      'import',
      'insert',
      'look',
      'move',
      'offline',
      'one-way',
      'open-form',
      'open-letter',
      'operate',
      'pair',
      'power-cut',
      'put-back',
      'recreate',
      'repair',
      'restore-value',
      'save-form',
      'server-backup',
      'server-full',
      'server-kill',
      'server-restore',
      'server-update',
      'settle',
      'spy',
      'suspend',
      'swap-codes',
      'sync',
      'tag',
      'update',
    ])
    const rates = plans.flatMap(({ network, storage }) => Object.entries({ ...network, ...storage }))
    for (const name of new Set(rates.map(([each]) => each)))
      expect([name, rates.some(([each, rate]) => each === name && rate > 0)]).toEqual([name, true])
  })

  test('[SIM-25] about every tenth seed has no fault at all, and heavy ones are rare', () => {
    expect(shareOf(isCalm)).toBeGreaterThan(0.05)
    expect(shareOf(isCalm)).toBeLessThan(0.16)
    for (const kind of ['clone', 'put-back', 'server-restore']) {
      expect(shareOf(has(kind))).toBeGreaterThan(0.01)
      expect(shareOf(has(kind))).toBeLessThan(0.15)
    }
    expect(shareOf(has('crash'))).toBeGreaterThan(0.3)
    expect(shareOf(({ devices }) => devices.length === 1)).toBeGreaterThan(0.01)
    expect(shareOf(({ devices }) => devices.length > 8)).toBeGreaterThan(0.02)
    expect(shareOf(({ tenants }) => tenants > 1)).toBeGreaterThan(0.15)
  })

  test('[SIM-25] dense seeds have more kinds of faults, and the others are as they were', () => {
    const seeds = Array.from({ length: 100 }, (_, n) => n + 1)
    const both = (plan: Plan): boolean => has('clone')(plan) && has('server-restore')(plan)
    const dense = seeds.map((seed) => generatePlan(seed, { dense: true, operations: 100 }))
    const usual = seeds.map((seed) => generatePlan(seed, { dense: false, operations: 100 }))
    expect(dense.filter(both).length).toBeGreaterThan(3 * usual.filter(both).length)
    expect(usual[0]).toEqual(generatePlan(1, { operations: 100 }))
  })

  test('[SIM-25] what is put back was kept before', () => {
    const pairs = [
      ['backup', 'put-back'],
      ['server-backup', 'server-restore'],
    ] as const
    for (const [kept, back] of pairs) {
      for (const { steps } of plans.filter(has(back))) {
        const first = steps.findIndex(({ action }) => action.kind === back)
        const { device } = steps[first] ?? { device: -2 }
        expect(
          steps.slice(0, first).some((step) => step.action.kind === kept && step.device === device),
        ).toBe(true)
      }
    }
  })

  test('[SIM-102] what is saved was opened before, on the same device, and forms are beside a story, not instead of it', () => {
    const isOfForm = (kind: string): boolean => ['open-form', 'open-letter', 'save-form'].includes(kind)
    for (const { steps } of plans) {
      const opened = new Map<number, number>()
      for (const { action, device } of steps) {
        if (action.kind === 'open-form' || action.kind === 'open-letter') opened.set(action.form, device)
        if (action.kind === 'save-form')
          expect([action.form, opened.get(action.form)]).toEqual([action.form, device])
      }
    }
    expect(shareOf(has('save-form'))).toBeGreaterThan(0.5)
    expect(shareOf(has('save-form'))).toBeLessThan(0.8)
    const others = plans[16]?.steps.filter(({ action }) => !isOfForm(action.kind))
    expect(JSON.stringify(others?.slice(0, 3).map(({ draw }) => draw))).toBe(
      '[3503291418,1885856955,4132574349]',
    )
  })

  test('[SIM-27] a plan for an app of one’s own names its collections and asks for no pairs', () => {
    const schema: Schema = shopSchema
    for (let seed = 1; seed <= 20; seed++) {
      for (const { action } of generatePlan(seed, { schema, devices: 3 }).steps) {
        expect(action.kind).not.toBe('pair')
        if ('collection' in action) expect(['shelves', 'items', 'codes']).toContain(action.collection)
        if (action.kind === 'count' || action.kind === 'tag') expect(action.collection).toBe('items')
      }
    }
  })
})
