import { assert } from '@holdfast/core'
import { afterEach, describe, expect, test } from 'vitest'

import type { Observation } from '../check/observation.ts'
import { generatePlan } from '../gen/generate-plan.ts'
import { budgetProblems, faultsToMeet } from './budget.ts'
import { planOf } from './given-plan.ts'
import { partFindings } from './open-findings.ts'
import { play } from './play.ts'
import type { Plan } from './plan.ts'
import { runPlan } from './run-plan.ts'
import { addSummary, emptySummary, runSeeds, type Summary } from './run-seeds.ts'
import { shrink } from './shrink.ts'
import { World } from './world.ts'

const work = [
  { device: 0, action: { kind: 'import', collection: 'jobs', count: 5 }, draw: 1 },
  { device: 1, action: { kind: 'update', collection: 'jobs', fields: 2, hot: true }, draw: 2 },
  { device: 0, action: { kind: 'count', collection: 'jobs', hot: true }, draw: 3 },
] as const

const worlds: World[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

async function played(plan: Plan): Promise<{ world: World; seen: Observation[] }> {
  const seen: Observation[] = []
  const world = new World(plan, { observe: (observation) => seen.push(observation) })
  worlds.push(world)
  await play(world)
  return { world, seen }
}

describe('a run', () => {
  test('[SIM-1] two runs of one plan see the same things at the same moments', async () => {
    const plan = generatePlan(11, { operations: 60, devices: 2 })
    const [one, other] = [await played(plan), await played(plan)]
    expect(one.seen).toEqual(other.seen)
    expect(one.world.traceHash).toBe(other.world.traceHash)
    expect((await played({ ...plan, seed: 12 })).world.traceHash).not.toBe(one.world.traceHash)
  })

  test('[SIM-28] somebody asks for a record of another tenant by its id, and is told nothing of it', async () => {
    const plan = planOf([
      work[0],
      ...[6, 7, 8].map((draw) => ({ device: 1, action: { kind: 'spy' }, draw }) as const),
    ])
    const [own, other] = plan.devices
    const { world, seen } = await played({ ...plan, tenants: 2, devices: [own!, { ...other!, tenant: 1 }] })
    expect(world.faults.sorted()['spy']).toBe(3)
    const answers = seen.filter((o) => o.kind === 'response' && o.user === 'u1' && o.route === 'records')
    expect(answers).toHaveLength(3)
    for (const answer of answers)
      expect(answer).toMatchObject({ status: 404, scopesSeen: [], scopesServed: [] })
  })

  test('[SIM-105] the app of before is updated where a step says so, and otherwise in the end', async () => {
    const plan = planOf([
      ...[1, 2, 3].map(
        (draw) => ({ device: 0, action: { kind: 'insert', collection: 'keys' }, draw }) as const,
      ),
      { device: 0, action: { kind: 'import', collection: 'lockers', count: 5 }, draw: 1 },
      { device: 1, action: { kind: 'update', collection: 'keys', fields: 3, hot: true }, draw: 2 },
      { device: 1, action: { kind: 'insert', collection: 'lockers' }, draw: 3 },
      { device: 1, action: { kind: 'app-update', downMs: 1_000 }, draw: 0 },
    ])
    const [own, other] = plan.devices
    const earlier = { ...other!, isEarlier: true }
    const { world, seen } = await played({ ...plan, devices: [own!, earlier, { ...earlier, user: 2 }] })
    expect(world.faults.sorted()['app-update']).toBe(1)
    const calls = seen
      .filter((o) => o.kind === 'call' && o.disk === 'd1')
      .map((o) => o.kind === 'call' && o.what)
    expect(calls).toEqual(['update keys'])
    const end = seen.find((o) => o.kind === 'end')
    assert(end?.kind === 'end', 'the run has an end')
    const rowsOf = (place: number) => end.devices[place]?.collections
    expect(rowsOf(0)?.['lockers']).toHaveLength(5)
    expect(rowsOf(1)).toEqual(rowsOf(0))
    expect(rowsOf(2)).toEqual(rowsOf(0))
    expect(world.devices.map(({ openSchema }) => openSchema.version)).toEqual([2, 2, 2])
  })

  test('[SIM-105] an app is ahead of the server until that is migrated, where no step says so in the end', async () => {
    const steps = [
      { device: 0, action: { kind: 'import', collection: 'keys', count: 5 }, draw: 1 },
      { device: 1, action: { kind: 'app-update', downMs: 1_000 }, draw: 0 },
      { device: 1, action: { kind: 'update', collection: 'keys', fields: 3, hot: true }, draw: 2 },
      { device: 1, action: { kind: 'insert', collection: 'lockers' }, draw: 3 },
    ] as const
    const migration = { device: -1, action: { kind: 'server-update', downMs: 1_000 }, draw: 0 } as const
    for (const told of [steps, [...steps, migration]]) {
      const plan = planOf(told)
      const devices = plan.devices.map((device) => ({ ...device, isEarlier: true }))
      const { world, seen } = await played({ ...plan, devices, isServerEarlier: true })
      expect(world.faults.sorted()).toMatchObject({ 'app-update': 1, 'server-update': 1 })
      const migrated = seen.findIndex(({ kind }) => kind === 'server-migrated')
      const lockers = seen.findIndex((o) => o.kind === 'audit' && o.collection === 'lockers')
      expect(migrated).toBeGreaterThan(0)
      expect(lockers).toBeGreaterThan(migrated)
      const end = seen.find((o) => o.kind === 'end')
      assert(end?.kind === 'end', 'the run has an end')
      expect(end.devices[0]?.collections).toEqual(end.devices[1]?.collections)
      expect(end.devices[0]?.collections['lockers']).toHaveLength(1)
      expect(end.devices[0]?.collections['keys']).toHaveLength(5)
    }
  })

  test('[SIM-6] where nobody tells devices that faults are over, they find out by themselves', async () => {
    const offline = {
      device: 1,
      action: { kind: 'offline', forMs: 86_400_000, told: false },
      draw: 9,
    } as const
    const { seen } = await played({ ...planOf([work[0], offline, work[1]]), healsUntold: true })
    expect(seen.find(({ kind }) => kind === 'healed')).toMatchObject({ withinMs: 1_200_000 })
    expect(seen.at(-1)).toMatchObject({ kind: 'end', unrest: [] })
  })

  test('[SIM-4] a device and a server that are killed go on with what they had stored', async () => {
    const { violations, operations, faults } = await runPlan(
      planOf([
        work[0],
        { device: 0, action: { kind: 'crash', afterCalls: 0, downMs: 1_000 }, draw: 4 },
        { device: -1, action: { kind: 'server-kill', afterCalls: 0, downMs: 1_000 }, draw: 5 },
        work[1],
        work[2],
      ]),
    )
    expect([violations, operations, faults]).toEqual([[], 7, { crash: 1, 'server-kill': 1 }])
  })

  test('[SIM-5] a step for a device that is not there does nothing', async () => {
    const plan = planOf([{ device: 9, action: { kind: 'clone' }, draw: 1 }, ...work])
    const { violations, operations } = await runPlan(plan)
    expect([violations, operations]).toEqual([[], 7])
  })

  test('[SIM-6] it heals, rests, restarts everything and shows what is there', async () => {
    const { seen } = await played(
      planOf([
        ...work,
        { device: 1, action: { kind: 'offline', forMs: 86_400_000, told: true }, draw: 4 },
        work[1],
      ]),
    )
    const end = seen.at(-1)
    expect(seen.filter(({ kind }) => kind === 'healed')).toHaveLength(1)
    expect(end).toMatchObject({ kind: 'end', unrest: [], server: { damage: [] } })
    if (end?.kind !== 'end') return
    expect(end.devices.map(({ outbox }) => outbox)).toEqual([[], []])
    expect(end.devices.map(({ collections }) => collections['jobs']?.length)).toEqual([5, 5])
    const measured = seen.flatMap((each) => (each.kind === 'measured' ? `${each.what}: ${each.value}` : []))
    expect(measured.toSorted()).toEqual([
      'devices that did not compare their copies: 0',
      'ranges of d0 that differed: 0',
      'ranges of d1 that differed: 0',
    ])
    expect(end.quietAtMs).toBeLessThanOrEqual(
      (seen.find(({ kind }) => kind === 'healed')?.atMs ?? 0) + 60_000,
    )
  })
})

describe('a disk that is full', () => {
  test('[SIM-17] at commits alone: what was written before them is taken back, and nothing is lost', async () => {
    const { violations, operations, faults } = await runPlan(
      planOf([
        work[0],
        { device: -1, action: { kind: 'server-full', forMs: 15_000, late: true }, draw: 4 },
        work[1],
        { device: 0, action: { kind: 'disk-full', forMs: 15_000, late: true }, draw: 5 },
        work[2],
      ]),
    )
    expect(violations).toEqual([])
    expect(operations).toBe(6)
    expect(Object.keys(faults)).toEqual(expect.arrayContaining(['device-full', 'server-full']))
  })
})

describe('many runs', () => {
  test('[SIM-55] for the first failure only, a run ends with what broke the promise', async () => {
    const seen: Observation[] = []
    const checker = {
      name: 'nobody writes',
      promise: 'Nothing is written.',
      start: (fail: (message: string) => void) => (o: Observation) => {
        if (o.kind === 'entry-written') fail('something was')
      },
    }
    const observe = (o: Observation): void => void seen.push(o)
    const plan = planOf(work)
    const first = await runPlan(plan, { checkers: [checker], untilFailure: true, observe })
    expect(first.violations.length).toBeGreaterThan(0)
    expect(first.virtualMs).toBeLessThan(plan.chaosMs)
    expect(seen.some(({ kind }) => kind === 'end')).toBe(false)
    await runPlan(plan, { checkers: [checker], observe })
    expect(seen.at(-1)?.kind).toBe('end')
  })

  test('[SIM-7] every seed is run once and counted, and some a second time to be compared', async () => {
    const options = { first: 21, count: 2, operations: 60, twice: 2, untilFailure: false, goOn: () => true }
    const sum = await runSeeds(options)
    expect(sum).toMatchObject({ seeds: 2, repeated: 1, failures: [] })
    expect(sum.operations).toBeGreaterThan(30)
    expect(sum.states.length).toBeGreaterThan(20)
  })

  test('[SIM-7] fewer operations or seeds than asked, empty seeds, and faults that never strike are failures', () => {
    const all = Object.fromEntries(faultsToMeet.map((fault) => [fault, 1]))
    const sum = { ...emptySummary(), seeds: 400, operations: 40_000, faults: all }
    const asked = { operations: 40_000, seeds: 400, isStoppedEarly: false }
    expect(budgetProblems(sum, asked)).toEqual([])
    expect(budgetProblems({ ...sum, operations: 39_999 }, asked)).toEqual([
      'only 39999 of 40000 operations ran',
    ])
    expect(budgetProblems({ ...sum, seeds: 399 }, asked)).toEqual(['only 399 of 400 seeds ran'])
    const nothing = { ...sum, operations: 4_000 }
    expect(budgetProblems(nothing, { ...asked, operations: 0 })).toEqual([
      'seeds hold only 10 operations each',
    ])
    expect(budgetProblems({ ...sum, faults: { ...all, cut: 0 } }, asked)).toEqual([
      'these faults never struck: cut',
    ])
  })

  test('[SIM-7] a known finding is known by its seed and its promise, and by nothing less', () => {
    const failed = (seed: number, invariant: string): Summary['failures'][number] => ({
      seed,
      violation: { invariant, index: 0, atMs: 0, message: '' },
      count: 1,
    })
    const failures = [failed(1, 'liveness'), failed(1, 'counters'), failed(2, 'liveness')]
    expect(partFindings({ failures }, [{ seed: 1, invariant: 'liveness', story: '' }])).toEqual({
      open: [failures[0]],
      fresh: [failures[1], failures[2]],
    })
  })

  test('[SIM-7] sums add up', () => {
    const sum = emptySummary()
    for (const states of [
      [1, 2],
      [2, 3],
    ]) {
      addSummary(sum, { ...emptySummary(), seeds: 1, operations: 5, faults: { cut: 2 }, states })
    }
    expect(sum).toMatchObject({ seeds: 2, operations: 10, faults: { cut: 4 }, states: [1, 2, 3] })
  })
})

test('[SIM-8] shrinking keeps what the broken promise needs, and nothing else', async () => {
  const plan = generatePlan(31, { operations: 10, devices: 1 })
  // A promise that any deletion breaks: what is left must be one that comes to be.
  const noDeletes = {
    name: 'no-deletes',
    promise: 'Nothing is ever deleted.',
    start: (fail: (message: string) => void) => (observation: Observation) => {
      if (observation.kind === 'entry-written' && observation.op === 'delete') fail('deleted')
    },
  }
  const withDelete: Plan = {
    ...plan,
    steps: [
      ...plan.steps,
      { atMs: plan.chaosMs - 100, device: 0, action: { kind: 'delete', collection: 'jobs' }, draw: 77 },
    ],
  }
  const small = await shrink(withDelete, 'no-deletes', { checkers: [noDeletes] })
  expect(small.steps.length).toBeLessThanOrEqual(3)
  expect((await runPlan(small, { checkers: [noDeletes] })).violations[0]).toMatchObject({
    invariant: 'no-deletes',
    message: 'deleted',
  })
}, 60_000)
