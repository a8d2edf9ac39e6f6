import type { CollectionSchema, MergeRuleName, Schema } from '@holdfast/core'

import { SeededRandom } from '../seeded-random.ts'
import type { Action, Plan, Step } from '../sim/plan.ts'
import { addStep, type Draft } from './draft.ts'
import { addFaults } from './faults-of-stretch.ts'
import { formSteps } from './form-steps.ts'
import { appOf } from './app-of-plan.ts'
import { pairsOf } from './mix-schema.ts'
import { type DrawnAction, isUserAction, type UserAction } from './person.ts'
import { drawUpdates } from './app-updates.ts'
import { drawSwarm, type SwarmOptions } from './swarm.ts'
import { traitsOf } from './traits.ts'

/** What a plan is made for. */
export interface PlanOptions extends SwarmOptions {
  /** About as many operations of people; from 60 to 1,920 unless said, each length as likely as twice that. */
  readonly operations?: number
  /** The mix schema, or one of the seed's own, unless said. */
  readonly schema?: Schema
}

/** Virtual ms in which everybody opens the app and has the first sync. */
const openingMs = 5_000

/** A plan from a seed: the same seed and options always give the same. Every step can be left out. Rules: SIM-26, SIM-27. */
export function generatePlan(seed: number, options: PlanOptions = {}): Plan {
  const random = new SeededRandom(seed)
  const swarm = drawSwarm(random, options)
  const schemaSeed = options.schema ? undefined : drawSchemaSeed(seed)
  const draft: Draft = {
    random,
    swarm,
    steps: [],
    stretches: [],
    collections: collectionsByKind(options.schema ?? appOf({ schemaSeed }).schema),
    deviceCount: swarm.devices.length,
    nowMs: openingMs,
  }
  const wanted = options.operations ?? drawLength(random)
  begin(draft)
  for (let round = 0; round < wanted && countOperations(draft.steps) < wanted; round++) addRound(draft)
  if (swarm.endsInBlackout) addBlackout(draft)
  // A stable sort: steps of one moment stay in the order in which they were thought of.
  const planned = draft.steps.toSorted((left, right) => left.atMs - right.atMs)
  const endMs = planned.at(-1)?.atMs ?? 0
  const updates = drawUpdates(swarm.devices, { seed, endMs })
  const drawn = [
    ...planned,
    ...operatorSteps(planned, endMs),
    ...formSteps(planned, { seed, endMs }),
    ...updates.steps,
  ]
  const steps = drawn.toSorted((left, right) => left.atMs - right.atMs)
  return {
    version: 1,
    seed,
    tenants: swarm.tenants,
    devices: updates.devices,
    isServerEarlier: updates.isServerEarlier,
    network: swarm.network,
    storage: swarm.storage,
    isEven: swarm.isEven,
    ...(schemaSeed !== undefined && { schemaSeed }),
    healsUntold: random.below(4) === 0,
    steps,
    chaosMs: endMs + 5_000,
  }
}

/** One seed of four has an app of its own. Rules: SIM-106. */
function drawSchemaSeed(seed: number): number | undefined {
  return new SeededRandom(seed ^ 0x51ed_270b).below(4) === 0 ? seed : undefined
}

/** Some time after each grant has ended an operator looks at what became of it; nothing else is drawn otherwise for that. */
function operatorSteps(steps: readonly Step[], endMs: number): readonly Step[] {
  return steps.flatMap(({ action, atMs, draw }): Step[] => {
    if (action.kind !== 'grant' || !action.revoke) return []
    const laterMs = Math.min(endMs, atMs + 10_000 + (draw % 240_000))
    return [{ atMs: laterMs, device: -1, action: { kind: 'operate' }, draw }]
  })
}

/** Short stories come to their end often, and long ones go far: both find what the other does not. */
function drawLength(random: SeededRandom): number {
  return Math.round(60 * 2 ** (random.next() * 5))
}

/** Everybody has just written something, and it is under way, when all devices die; they come back with right clocks. */
function addBlackout(draft: Draft): void {
  const { random, steps, deviceCount } = draft
  const startMs = Math.max(...steps.map(({ atMs }) => atMs)) + 3_000
  for (let device = 0; device < deviceCount; device++) {
    const atMs = startMs + random.below(1_000)
    addStep(draft, { atMs, device, action: drawAction(draft, 'update') })
    addStep(draft, { atMs, device, action: { kind: 'sync' } })
    const action = { kind: 'crash', afterCalls: 10 + random.below(80), downMs: 60_000 } as const
    addStep(draft, { atMs: atMs + 1, device, action })
  }
}

/** How many mutations a plan asks people for. */
export function operationsOf(plan: Plan): number {
  return countOperations(plan.steps)
}

function countOperations(steps: readonly Step[]): number {
  return steps.reduce((sum, { action }) => sum + (isUserAction(action) ? operationsOfAction(action) : 0), 0)
}

function operationsOfAction(action: UserAction): number {
  switch (action.kind) {
    case 'import':
      return action.count
    case 'group':
      return action.size
    case 'pair':
    case 'swap-codes':
      return 2
    case 'adopt':
      return 3
    case 'repair':
    case 'open-form':
    case 'open-letter':
    case 'look':
    case 'sync':
      return 0
    default:
      return 1
  }
}

function collectionsByKind(schema: Schema): Draft['collections'] {
  const pairs = pairsOf(schema)
  // The widest first: there is most to do in it.
  const all = [...schema.collections.values()]
    .filter(({ name }) => name !== pairs)
    .sort((left, right) => right.fields.length - left.fields.length)
  const namesOf = (fits: (collection: CollectionSchema) => boolean): readonly string[] =>
    all.filter(fits).map(({ name }) => name)
  const every = namesOf(() => true)
  const uncoded = namesOf((collection) => traitsOf(collection).codes.length === 0)
  return {
    insert: every,
    // Codes are few: a bulk of rows that want one would mostly be a bulk of refusals.
    import: uncoded.length > 0 ? uncoded : every,
    update: namesOf((collection) => traitsOf(collection).assigned.length > 0),
    adopt: namesOf((collection) =>
      traitsOf(collection).assigned.some(({ references }) => references !== undefined),
    ),
    count: namesOf((collection) => traitsOf(collection).counters.length > 0),
    tag: namesOf((collection) => traitsOf(collection).sets.length > 0),
    delete: every,
    recreate: every,
    move: namesOf((collection) => traitsOf(collection).places.length > 0),
    group: every,
    pair: pairs === undefined ? [] : [pairs],
    'claim-code': namesOf((collection) => traitsOf(collection).codes.length > 0),
    'swap-codes': namesOf((collection) => traitsOf(collection).codes.length > 0),
    settle: every,
    repair: every,
    'restore-value': every,
    look: every,
    sync: every,
  }
}

/** Somebody of each tenant puts in what the others will work on; some lose sight of a part of it from the start. */
function begin(draft: Draft): void {
  const { random, swarm, collections } = draft
  if (swarm.isPartial) {
    for (let step = 1 + random.below(swarm.devices.length); step > 0; step--)
      addStep(draft, { atMs: step, device: -1, action: { kind: 'grant', revoke: true } })
  }
  for (let tenant = 0; tenant < swarm.tenants; tenant++) {
    const device = swarm.devices.findIndex((each) => each.tenant === tenant)
    for (const collection of collections.insert ?? []) {
      const count = 1 + random.below(4)
      addStep(draft, { atMs: draft.nowMs, device, action: { kind: 'import', collection, count } })
    }
  }
  draft.nowMs += 5_000
}

/** A pause, then some devices at work, then all of them online. */
function addRound(draft: Draft): void {
  const { random, swarm } = draft
  // Mostly several at once: whoever works alone meets nobody.
  const least = random.below(4) === 0 ? 1 : 2
  const crew = shuffled(random, draft.deviceCount).slice(0, least + random.below(4))
  // Records that more than one of them is at.
  const themes = Array.from({ length: 3 }, () => random.below(2 ** 24))
  draft.nowMs += (0.5 + random.next()) * (swarm.tempo === 'interactive' ? 3_000 : swarm.pauseMs)
  const startMs = draft.nowMs
  const workMs = swarm.tempo === 'field' ? 5_000 + random.below(25_000) : 2_000
  const first = draft.stretches.length
  for (const [place, device] of crew.entries()) addStretch(draft, { device, place, startMs, workMs, themes })
  const stretches = draft.stretches.slice(first)
  for (const stretch of stretches) addFaults(draft, stretch)
  draft.nowMs = Math.max(...stretches.map(({ endMs }) => endMs))
}

function shuffled(random: SeededRandom, count: number): readonly number[] {
  return Array.from({ length: count }, (_, device) => ({ device, roll: random.next() }))
    .sort((left, right) => left.roll - right.roll)
    .map(({ device }) => device)
}

interface Shift {
  readonly device: number
  /** Which of the crew it is: they come back one after the other. */
  readonly place: number
  readonly startMs: number
  readonly workMs: number
  readonly themes: readonly number[]
}

function addStretch(draft: Draft, shift: Shift): void {
  const { random, swarm } = draft
  const { device, place, workMs } = shift
  const startMs = shift.startMs + random.below(1_000)
  const isOffline = swarm.tempo === 'field' && !swarm.isControl && random.next() < 0.85
  const onlineMs = isOffline ? shift.startMs + workMs + place * (2_000 + random.below(4_000)) : startMs
  if (isOffline) {
    const forMs = Math.round(onlineMs - startMs)
    addStep(draft, { atMs: startMs, device, action: { kind: 'offline', forMs, told: random.next() < 0.8 } })
  }
  const burstMs = swarm.tempo === 'interactive' ? 1_000 : isOffline ? workMs - 1_500 : 300
  let atMs = startMs + 1
  // Without a network work piles up; with one it comes in portions.
  for (let burst = isOffline ? 3 + random.below(8) : 1 + random.below(3); burst > 0; burst--) {
    const actions = drawBurst(draft, shift.themes)
    for (const { action, theme } of actions) {
      addStep(draft, { atMs, device, action, theme })
      atMs += (random.next() * burstMs) / (actions.length + 1) / 2
    }
  }
  if (isOffline && swarm.favourite === 'latest') addOldAndNew(draft, shift, [startMs + 1, onlineMs - 500])
  const endMs = addCare(draft, { device, atMs: Math.max(atMs, onlineMs) })
  draft.stretches.push({ device, startMs, onlineMs, endMs })
}

/**
 * Somebody changes what everybody is at, and something else in it before they come back: old and new travel as one, and
 * meet what another one has written in between.
 */
function addOldAndNew(
  draft: Draft,
  { device, themes }: Shift,
  [oldMs, newMs]: readonly [number, number],
): void {
  const [collection = ''] = draft.collections.update ?? []
  const other = (device + 1) % draft.swarm.devices.length
  const writes = [
    { atMs: oldMs, device, rule: 'latest' },
    { atMs: (oldMs + newMs) / 2, device: other, rule: 'latest' },
    { atMs: newMs, device, rule: 'max' },
  ] as const
  for (const theme of themes) {
    for (const { rule, ...write } of writes) {
      const action = { kind: 'update', collection, fields: 1, hot: false, rule } as const
      addStep(draft, { ...write, action, theme })
    }
  }
}

/** Back online, a person looks at what became of it all. */
function addCare(draft: Draft, { device, atMs }: { readonly device: number; readonly atMs: number }): number {
  const { random, swarm } = draft
  const careMs = swarm.tempo === 'interactive' ? 500 : 4_000
  let nowMs = atMs + careMs
  for (const kind of ['settle', 'repair', 'look'] as const) {
    const times = Math.min(6, Math.round(random.next() * swarm.weights[kind]))
    for (let step = 0; step < times; step++) {
      addStep(draft, { atMs: nowMs, device, action: drawAction(draft, kind) })
      nowMs += 2 + random.below(20)
    }
  }
  return nowMs
}

interface Planned {
  readonly action: Action
  /** Which record; by chance where it is not given. */
  readonly theme?: number
}

/** Some actions that belong together, as people do them. */
function drawBurst(draft: Draft, themes: readonly number[]): readonly Planned[] {
  const { random, swarm } = draft
  const theme = (): number | undefined =>
    random.next() < swarm.contention ? themes[random.below(themes.length)] : undefined
  const dice = random.next()
  if (dice < 0.2 && swarm.weights.update > 0) {
    // A form is filled in: one record, field by field.
    const one = theme() ?? random.below(2 ** 24)
    const collection = nameFor(draft, 'update')
    const action = { kind: 'update', collection, fields: 1, hot: false, ...favourOf(draft) } as const
    return Array.from({ length: 4 + random.below(8) }, () => ({ action, theme: one }))
  }
  if (dice < 0.35 && swarm.weights.count > 0) {
    // A round of counting: many records of one collection, a few of them again and again.
    const collection = nameFor(draft, 'count')
    return Array.from({ length: 6 + random.below(12) }, () => ({
      action: { kind: 'count', collection, hot: random.below(2) === 0 } as const,
    }))
  }
  return Array.from({ length: 4 + random.below(10) }, () => {
    const action = drawAction(draft, drawKind(draft))
    const shared = theme()
    // Where people meet they should touch the same fields, too.
    const isMeeting = shared !== undefined && action.kind === 'update'
    return { action: isMeeting ? { ...action, fields: 1 + random.below(8) } : action, theme: shared }
  })
}

function drawKind({ random, swarm, collections }: Draft): DrawnAction['kind'] {
  const kinds = Object.entries(swarm.weights).filter(
    // The keys of the weights are the kinds of actions.
    ([kind]) => (collections[kind as DrawnAction['kind']] ?? []).length > 0,
  )
  let roll = random.next() * kinds.reduce((sum, [, weight]) => sum + weight, 0)
  const drawn = kinds.find(([, weight]) => {
    roll -= weight
    return roll < 0
  })
  return (drawn?.[0] ?? 'insert') as DrawnAction['kind']
}

function nameFor({ random, collections }: Draft, kind: DrawnAction['kind']): string {
  const names = collections[kind] ?? []
  // One half of all work is in one collection: that is where people meet.
  return names[random.below(2) === 0 ? 0 : random.below(names.length)] ?? ''
}

const settlements = ['mine', 'theirs', 'merge', 'both', 'discard'] as const

/** Mostly the fields of one rule: so they meet often enough for each rule to be seen at work. */
function favourOf({ random, swarm }: Draft): { readonly rule?: MergeRuleName } {
  return swarm.favourite !== undefined && random.below(3) > 0 ? { rule: swarm.favourite } : {}
}

const repairs = ['retry', 'discard', 'edit'] as const

function drawAction(draft: Draft, kind: DrawnAction['kind']): DrawnAction {
  const { random } = draft
  const collection = nameFor(draft, kind)
  switch (kind) {
    case 'import':
      return {
        kind,
        collection,
        count: random.below(12) === 0 ? 20 + random.below(180) : 3 + random.below(20),
      }
    case 'update':
      return {
        kind,
        collection,
        fields: 1 + random.below(3),
        hot: random.below(5) < 3,
        ...favourOf(draft),
      }
    case 'count':
      return { kind, collection, hot: random.below(5) < 3 }
    case 'group':
      return { kind, size: 2 + random.below(random.below(10) === 0 ? 12 : 4) }
    case 'settle':
      return { kind, how: settlements[random.below(settlements.length)] ?? 'mine' }
    case 'repair':
      return { kind, how: repairs[random.below(repairs.length)] ?? 'discard' }
    case 'adopt':
    case 'insert':
    case 'tag':
    case 'delete':
    case 'recreate':
    case 'move':
      return { kind, collection }
    default:
      return { kind }
  }
}
