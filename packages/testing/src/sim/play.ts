import { globalScope, limits, personalScope } from '@holdfast/core'

import { marksIn } from '../gen/mix-schema.ts'
import { decideAll } from '../gen/person.ts'
import { readCursorShape } from './cursor-shape.ts'
import { SeededRandom } from '../seeded-random.ts'
import { operate } from './operate.ts'
import { planPockets } from './pocket-times.ts'
import type { SimDevice } from './sim-device.ts'
import { operatorId } from './sim-server.ts'
import { takeStep, updateServer } from './take-step.ts'
import type { World } from './world.ts'

/** Everything must have settled this long after the last fault, virtual ms. */
export const quietMs = 60_000

/** The same where nobody tells devices that faults are over: the longest wait between two attempts, and what is left to do. */
const untoldQuietMs = 1_200_000

/** How long a device waits for what another one may return to a server that was put back, ms; and for its last attempts then. */
const returnMs = limits.retainedDays * 86_400_000
const lastAttemptsMs = limits.entryAttempts * limits.retryCapMs

/** Rounds in which people settle what is in front of them, until nothing is left, or no less than before. */
const roundMax = 40

/** Plays a world's plan: faults, healing, rest, everybody's decisions, a restart of everything, the audit. Rules: SIM-5 to SIM-8. */
export async function play(world: World): Promise<void> {
  const { plan, scheduler } = world
  await world.server.start()
  for (const device of world.devices) void device.open()
  for (const step of plan.steps) scheduler.at(step.atMs, () => takeStep(world, step))
  for (const [index, device] of world.devices.entries()) planPockets(world, device, index)
  await scheduler.run(plan.chaosMs)
  await heal(world)
}

/** Faults end, everything comes to rest, people decide, everything is restarted, and what is there is shown to whoever audits. */
export async function heal(world: World): Promise<void> {
  const { scheduler, network, devices } = world
  world.storageFaults = { deviceFull: 0, serverFull: 0, slow: 0 }
  network.heal()
  updateServer(world, 0)
  world.signIn()
  for (const device of devices) device.heal()
  const healedMs = scheduler.nowMs
  const isTold = world.plan.healsUntold !== true
  const withinMs = isTold ? quietMs : untoldQuietMs
  world.observe({ kind: 'healed', atMs: healedMs, withinMs })
  await startEverything(world, isTold)
  const rest = new Rest(world)
  await rest.wait(isCalm, withinMs)
  if (rest.isCalm && devices.some(awaitsReturn)) {
    await endReturns(world)
    await rest.wait(isCalm)
  }
  let least = Number.POSITIVE_INFINITY
  let lastRound = roundMax
  for (let round = 0; round < lastRound && rest.isCalm && !isAllDone(world); round++) {
    const open = devices.reduce((sum, device) => sum + openCount(device), world.storage.openFor(operatorId))
    if (open < least) lastRound = round + roundMax
    least = Math.min(least, open)
    // Deciding that only makes more to decide would go on until the machine gives in.
    if (open > 4 * least + 50) break
    await decide(world, round)
    if (round === 0) await updateApps(world)
    await rest.wait(isCalm)
    await endAttempts(world)
    // Nobody who has a device is asked anything until that is over.
    if (rest.isCalm && devices.some(awaitsReturn) && devices.every(isUnasked)) await endReturns(world)
  }
  if (rest.isCalm && !devices.every(isDone)) rest.unrest.push(...devices.flatMap(openQuestions))
  await restartEverything(world)
  await rest.wait(isCalm)
  if (rest.isCalm) await compareCopies(world)
  world.observe({
    kind: 'end',
    atMs: scheduler.nowMs,
    quietAtMs: rest.unrest.length === 0 ? healedMs + rest.longestMs : null,
    unrest: rest.unrest,
    server: await world.storage.dump(),
    devices: devices.map(({ disk, user }) => disk.dump(world.grants.get(user) ?? [], marksIn)),
  })
}

/** `isTold`: every device hears that the network is there, also those that know of no reason why it should not be. */
async function startEverything(world: World, isTold: boolean): Promise<void> {
  const { server, devices, scheduler } = world
  server.heal()
  await server.start()
  for (const device of devices) {
    void device.open()
    if (isTold) device.client?.sync.setOnline(true)
  }
  await scheduler.run(scheduler.nowMs + 10)
  for (const { client } of devices) {
    if (isTold) client?.sync.setOnline(true)
    if (client) void pickUp(client)
  }
}

/** Whose token was refused twice in a row is asked to sign in, and does; who was told of a loss of network hears of its end. */
async function pickUp({ status, sync }: NonNullable<SimDevice['client']>): Promise<void> {
  const { pausedBy, online } = await status.get()
  if (!online) sync.setOnline(true)
  if (pausedBy === 'auth') sync.resume()
}

/** Whoever has the app of before to the end gets the next one then: nobody else can decide on what that knows nothing of. */
async function updateApps(world: World): Promise<void> {
  if (world.devices.some(({ plan, schema }) => plan.isEarlier && schema !== world.schema))
    await restartEverything(world)
}

async function restartEverything(world: World): Promise<void> {
  world.server.kill()
  for (const device of world.devices) {
    device.stop()
    if (device.plan.isEarlier) device.schema = world.schema
  }
  await world.scheduler.run(world.scheduler.nowMs + 1_000)
  await startEverything(world, true)
}

/**
 * Nobody returns what is still waited for: the apps are closed for as long as anybody keeps anything, and then there is
 * time for the last attempts. Rules: SY-26.
 */
async function endReturns(world: World): Promise<void> {
  const { scheduler, devices } = world
  for (const device of devices) device.stop(returnMs)
  await scheduler.run(scheduler.nowMs + returnMs)
  world.signIn()
  await startEverything(world, true)
  await scheduler.run(scheduler.nowMs + 60_000)
  await endAttempts(world)
}

/** What is tried again in vain is given up in the end. */
async function endAttempts({ scheduler, devices }: World): Promise<void> {
  const endMs = scheduler.nowMs + lastAttemptsMs
  while (devices.some(awaitsReturn) && scheduler.nowMs < endMs) await scheduler.run(scheduler.nowMs + 60_000)
}

/** Whatever was found to differ, by now or in all the time before, is a bug. Rules: CS-6. */
async function compareCopies(world: World): Promise<void> {
  const { scheduler } = world
  let left = [...world.devices]
  // A process that was killed keeps its lease for a while.
  for (const endMs = scheduler.nowMs + quietMs; left.length > 0 && scheduler.nowMs < endMs; ) {
    const compared = new Set<SimDevice>()
    let busy = left.length
    for (const device of left)
      void compareCopy(world, device)
        .then((isDone) => isDone && compared.add(device), world.onDefect)
        .finally(() => (busy -= 1))
    await scheduler.run(scheduler.nowMs + 5_000, () => busy === 0)
    left = left.filter((device) => !compared.has(device))
    if (left.length > 0) await scheduler.run(scheduler.nowMs + 1_000)
  }
  const seen = { kind: 'measured', atMs: scheduler.nowMs } as const
  world.observe({ ...seen, what: 'devices that did not compare their copies', value: left.length, limit: 0 })
}

async function compareCopy(world: World, { client, name }: SimDevice): Promise<boolean> {
  const summary = await client?.sync.verify()
  if (!client || typeof summary?.compared !== 'number') return false
  const { repairCount } = await client.status.get()
  const seen = { kind: 'measured', atMs: world.scheduler.nowMs } as const
  world.observe({ ...seen, what: `ranges of ${name} that differed`, value: repairCount, limit: 0 })
  return true
}

/** Waits for rest, and remembers how long it took. */
class Rest {
  readonly unrest: string[] = []
  longestMs = 0
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  get isCalm(): boolean {
    return this.unrest.length === 0
  }

  async wait(isQuiet: (world: World, device: SimDevice) => boolean, longestMs = quietMs): Promise<void> {
    const { scheduler, devices } = this.#world
    const startMs = scheduler.nowMs
    const isOver = (): boolean => devices.every((device) => isQuiet(this.#world, device))
    do await scheduler.run(scheduler.nowMs + 500)
    while (!isOver() && scheduler.nowMs < startMs + longestMs)
    this.longestMs = Math.max(this.longestMs, scheduler.nowMs - startMs)
    if (isOver()) return
    for (const device of devices) {
      if (!isQuiet(this.#world, device)) this.unrest.push(describe(this.#world, device))
    }
  }
}

interface Queue {
  readonly open: number
  readonly waiting: number
  readonly asked: number
}

/** What is in a device's outbox: on its way, waiting for something else, and in front of a person. */
function queueOf({ disk }: SimDevice): Queue {
  const [row] = disk.read(
    `SELECT sum(status IN ('answered', 'sending')) AS open, sum(status IN ('pending', 'held')) AS waiting,
       sum(status IN ('dead', 'conflicted')) AS asked FROM _outbox`,
  )
  return {
    open: Number(row?.['open'] ?? 0),
    waiting: Number(row?.['waiting'] ?? 0),
    asked: Number(row?.['asked'] ?? 0),
  }
}

/** Nothing is on its way, and the device has read all there is. Mutations may wait behind what is in front of its person. */
export function isCalm(world: World, device: SimDevice): boolean {
  // A disk that lost everything has no tables until the app is open.
  if (device.client === undefined) return false
  const { open, waiting, asked } = queueOf(device)
  const isWaitFounded = waiting === 0 || asked > 0 || awaitsDecision(world, device) || awaitsReturn(device)
  return open === 0 && isWaitFounded && isUpToDate(world, device)
}

/**
 * Something waits behind a conflict that somebody has in front of them: it began on another copy of this database, or
 * another person's transaction is disputed, of which nobody else may see all records. Those of the operator are on no device.
 */
function awaitsDecision({ devices, storage }: World, { disk }: SimDevice): boolean {
  const waiting = disk.read(
    "SELECT record, held_by FROM _outbox WHERE status IN ('held', 'pending') AND offer IS NOT NULL",
  )
  if (waiting.length === 0) return false
  if (storage.openFor(operatorId) > 0) return true
  const ids = JSON.stringify(waiting.flatMap((entry) => [entry['record'], entry['held_by']]))
  const sql = `WITH ids AS MATERIALIZED (SELECT value FROM json_each(?))
    SELECT 1 FROM _conflicts AS conflict, json_each(conflict.parts) AS part
    WHERE conflict.status = 'open' AND (conflict.id IN ids OR part.value ->> 'record' IN ids) LIMIT 1`
  return devices.some(({ client, disk: other }) => client !== undefined && other.read(sql, ids).length > 0)
}

/** Something that is returned to a server that was put back was told that another device may return what it stands on. */
function awaitsReturn({ disk }: SimDevice): boolean {
  const sql =
    "SELECT 1 FROM _outbox WHERE status = 'pending' AND returned_at IS NOT NULL AND attempts > 0 LIMIT 1"
  return disk.read(sql).length > 0
}

/** The device has read everything there is for its user, and covers exactly the scopes its user has now. */
function isUpToDate({ storage, grants }: World, { disk, user }: SimDevice): boolean {
  const [meta] = disk.read("SELECT value FROM _meta WHERE key = 'cursor'")
  const text = meta?.['value']
  if (typeof text !== 'string') return false
  const { p, s, a = {}, f = 0, t = '' } = readCursorShape(text)
  const scopes = grants.get(user) ?? []
  if ((s === '*' ? [] : s).toSorted().join() !== scopes.toSorted().join()) return false
  // A server that was put back has another history there, or has not come so far again.
  const newest = Math.max(p, f, ...Object.values(a))
  const place = storage.placeOf(newest)
  if (newest > place.newest || t !== place.tag) return false
  return [...scopes, globalScope, personalScope(user)].every(
    (scope) => storage.newestIn(scope) <= Math.max(p, a[scope] ?? 0),
  )
}

function isAllDone(world: World): boolean {
  return world.devices.every(isDone) && world.storage.openFor(operatorId) === 0
}

function isDone(device: SimDevice): boolean {
  return openCount(device) === 0
}

/** What is left to be sent, to be heard of or to be decided. */
function openCount(device: SimDevice): number {
  const { open, waiting, asked } = queueOf(device)
  return open + waiting + asked + openConflicts(device)
}

function isUnasked(device: SimDevice): boolean {
  return queueOf(device).asked + openConflicts(device) === 0
}

function openConflicts({ disk }: SimDevice): number {
  return Number(
    disk.read("SELECT count(*) AS count FROM _conflicts WHERE status = 'open'")[0]?.['count'] ?? 0,
  )
}

function openQuestions(device: SimDevice): readonly string[] {
  if (isDone(device)) return []
  const { asked, waiting } = queueOf(device)
  return [
    `${device.name}: ${asked} in front of a person, ${waiting} waiting, ${openConflicts(device)} open conflicts, for ever`,
  ]
}

function describe(world: World, device: SimDevice): string {
  const { open, waiting, asked } = queueOf(device)
  const facts = [`${open} on their way`, `${waiting} waiting`, `${asked} in front of a person`]
  if (!isUpToDate(world, device)) facts.push('behind the server')
  if (device.client === undefined) facts.push('not open')
  return `${device.name}: ${facts.join(', ')}`
}

/** Everybody decides on what is in front of them and of nobody else, and tries something else in the next round. */
async function decide(world: World, round: number): Promise<void> {
  const { scheduler, devices, plan } = world
  const choices = { claimed: new Set<string>(), ways: world.ways }
  let busy = 0
  for (const [index, device] of devices.entries()) {
    const person = isDone(device) ? undefined : world.personOf(device)
    if (person === undefined) continue
    busy += 1
    const draw = plan.seed + scheduler.eventCount + 16 * round + index
    decideAll(person, choices, draw)
      .catch(world.onDefect)
      .finally(() => (busy -= 1))
  }
  busy += 1
  operate(world, new SeededRandom(plan.seed + round), true)
    .catch(world.onDefect)
    .finally(() => (busy -= 1))
  await scheduler.run(scheduler.nowMs + 5_000, () => busy === 0)
}
