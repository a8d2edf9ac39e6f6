import { describe, expect, test } from 'vitest'

import type { DumpedConflict } from '../check/observation.ts'
import type { DevicePlan } from '../sim/plan.ts'
import { ReportCollector } from './collect-report.ts'
import { givenSchema, givenTwoDevices, reportOf } from './given-report.ts'

const merged = { field: 'shelf', rule: 'latest', winner: 'mine', mine: 'B', theirs: 'C', result: 'B' }

function conflict(about: Partial<DumpedConflict>): DumpedConflict {
  const rest = { id: 'c1', status: 'open', collection: 'items', record: 'r1', author: 'ann' } as const
  return { ...rest, mutation: 'm1', reason: 'fields', fields: ['status'], ...about }
}

describe('fields', () => {
  test('[SIM-73] edits are counted by field; creates, deletes and settlements are none', () => {
    const history = givenTwoDevices()
      .write(1, { op: 'create', changes: { site: 'a', status: 'new' } })
      .write(2, { changes: { status: 'open' } })
      .write(3, { increments: { stock: 3 }, additions: { tags: ['x'] } })
      .write(4, { changes: { status: 'done' }, resolves: 'c1' })
      .write(5, { op: 'delete' })
    expect(reportOf(history.end()).fields).toEqual([
      { collection: 'items', field: 'status', rule: 'ask', edits: 1, met: 0, merged: 0, asked: 0 },
      { collection: 'items', field: 'stock', rule: 'add', edits: 1, met: 0, merged: 0, asked: 0 },
      { collection: 'items', field: 'tags', rule: 'union', edits: 1, met: 0, merged: 0, asked: 0 },
    ])
  })

  test('[SIM-73] a decision counts for each edit that travelled in the fold', () => {
    const history = givenTwoDevices()
      .write(1, { changes: { shelf: 'A' } })
      .write(2, { changes: { shelf: 'B' } })
      .write(3, { changes: { status: 'open' } })
      .send(1, 2, 3)
      .rule(1, { covers: '1-3', status: 'merged', decisions: [merged] })
    const { fields, lost } = reportOf(history.end())
    expect(fields[0]).toMatchObject({ field: 'shelf', edits: 2, met: 2, merged: 2, asked: 0 })
    expect(fields[1]).toMatchObject({ field: 'status', edits: 1, met: 0 })
    expect(lost).toEqual([{ collection: 'items', field: 'shelf', rule: 'latest', count: 1 }])
  })

  test('[SIM-73] a value that both sides went into is not lost', () => {
    const both = { ...merged, field: 'status', rule: 'paragraphs', winner: 'both' }
    const history = givenTwoDevices()
      .write(1, { changes: { status: 'B' } })
      .send(1)
      .rule(1, { status: 'merged', decisions: [both] })
    expect(reportOf(history.end())).toMatchObject({ fields: [{ met: 1, merged: 1 }], lost: [] })
  })

  test('[SIM-73] what is in dispute is in front of a person; the rest of the mutation is not', () => {
    const history = givenTwoDevices()
      .write(1, { changes: { status: 'open', price: 5 } })
      .send(1)
      .rule(1, { status: 'conflict', code: 'CONFLICT' })
      .end({ server: { conflicts: [conflict({})] } })
    expect(reportOf(history).fields).toEqual([
      { collection: 'items', field: 'status', rule: 'ask', edits: 1, met: 1, merged: 0, asked: 1 },
      { collection: 'items', field: 'price', rule: 'ask', edits: 1, met: 0, merged: 0, asked: 0 },
    ])
  })

  test('[SIM-73] the most contended field comes first, and a strict collection says so', () => {
    const history = givenTwoDevices()
      .write(1, { changes: { status: 'open' } })
      .write(2, { collection: 'permits', changes: { level: 5 } })
      .send(2)
      .rule(2, { status: 'conflict', code: 'CONFLICT' })
      .end({
        server: { conflicts: [conflict({ collection: 'permits', mutation: 'm2', fields: ['level'] })] },
      })
    expect(reportOf(history).fields.map(({ field, rule }) => `${field} ${rule}`)).toEqual([
      'level strict',
      'status ask',
    ])
  })

  test('[SIM-73] what a person turned down is lost by that person, and met nothing again', () => {
    const turnedDown = { ...merged, field: 'status', rule: 'ask', winner: 'theirs' }
    const history = givenTwoDevices()
      .write(1, { changes: { status: 'B' } })
      .send(1)
      .rule(1, { status: 'conflict', code: 'CONFLICT' })
      .line({
        op: 'none',
        version: null,
        device: 'D1',
        mutation: 'm1',
        status: 'lost',
        decisions: [turnedDown],
      })
    const { lost, fields } = reportOf(history.end())
    expect(lost).toEqual([{ collection: 'items', field: 'status', rule: 'person', count: 1 }])
    expect(fields).toMatchObject([{ field: 'status', met: 0 }])
  })

  test('[SIM-72] what is written once everything has healed is no work of anybody', () => {
    const history = givenTwoDevices()
    history.wait(10).add({ kind: 'healed', atMs: 10 })
    history
      .write(1, { changes: { status: 'B' } })
      .send(1)
      .rule(1, { status: 'rejected', code: 'CONFLICT_CLOSED' })
      .status(1, 'dead', { code: 'CONFLICT_CLOSED', verdict: 'rejected' })
    const { fields, deadLetters, traffic, latency } = reportOf(history.end())
    expect([fields, deadLetters, traffic.edits, latency.verdict.overall.count]).toEqual([[], [], 0, 0])
  })
})

test('[SIM-72] what is put in before the first day of work does not count', () => {
  const history = givenTwoDevices().write(1, { changes: { status: 'a' } })
  history
    .send(1)
    .wait(50)
    .write(2, { changes: { status: 'b' } })
    .wait(50)
    .rule(1)
  history.status(1, 'answered', { verdict: 'applied' })
  const collector = new ReportCollector(givenSchema)
  const observe = collector.start({ devices: [], steps: [], chaosMs: 0 }, 50)
  for (const observation of history.end().list) observe(observation)
  const { fields, traffic, latency } = collector.report({
    firstSeed: 1,
    devices: 2,
    days: 1,
    assumptions: [],
  })
  expect([fields[0]?.edits, traffic.edits, latency.verdict.overall.count]).toEqual([1, 1, 0])
})

describe('deletes, keys and refusals', () => {
  test('[SIM-74] a delete that met an edit is counted by what came of it', () => {
    const byRule = {
      ...merged,
      field: 'item',
      rule: 'onDelete.delete',
      winner: 'mine',
      mine: null,
      theirs: 'i1',
    }
    const history = givenTwoDevices()
      .write(1, { op: 'delete', collection: 'lines' })
      .write(2, { op: 'delete' })
      .send(1)
      .rule(1, { status: 'merged', decisions: [byRule] })
      .send(2)
      .rule(2, { status: 'conflict', code: 'CONFLICT' })
      .end({ server: { conflicts: [conflict({ mutation: 'm2', reason: 'delete', fields: [] })] } })
    const { deletes, lost } = reportOf(history)
    expect(deletes).toEqual([
      { collection: 'items', rule: 'ask', deletes: 1, merged: 0, asked: 1 },
      { collection: 'lines', rule: 'delete', deletes: 1, merged: 1, asked: 0 },
    ])
    expect(lost).toEqual([{ collection: 'lines', field: 'item', rule: 'onDelete.delete', count: 1 }])
  })

  test('[SIM-74] collisions are counted by key and policy', () => {
    const renamed = { ...merged, field: 'shelf', rule: 'unique.rename' }
    const history = givenTwoDevices()
      .write(1, { changes: { sku: 'x' } })
      .write(2, { changes: { shelf: 'y' } })
      .write(3, { collection: 'lines', changes: { item: 'i1' } })
      .send(1)
      .rule(1, { status: 'rejected', code: 'UNIQUE_VIOLATION' })
      .send(2)
      .rule(2, { status: 'merged', decisions: [renamed] })
      .send(3)
      .rule(3, { status: 'conflict', code: 'CONFLICT' })
      .end({
        server: {
          conflicts: [conflict({ collection: 'lines', mutation: 'm3', reason: 'unique', fields: ['item'] })],
        },
      })
    const { unique, fields } = reportOf(history)
    expect(unique.map(({ fields: key, policy, count }) => [key, policy, count])).toEqual([
      [['site', 'sku'], 'reject', 1],
      [['site', 'shelf'], 'rename', 1],
      [['item'], 'ask', 1],
    ])
    expect(fields.every(({ met }) => met === 0)).toBe(true)
  })

  test('[SIM-74] a key that is renamed says so also where there was no room for a number', () => {
    const history = givenTwoDevices()
      .write(1, { collection: 'desks', changes: { label: 'A' } })
      .send(1)
      .rule(1, { status: 'rejected', code: 'UNIQUE_VIOLATION' })
    expect(reportOf(history.end()).unique).toEqual([
      { collection: 'desks', fields: ['site', 'label'], policy: 'rename', count: 1 },
    ])
  })

  test('[SIM-74] a settlement that meets a key or a delete again is no record and no edit that did', () => {
    const settling = { collection: 'lines', resolves: 'c0' }
    const renamed = { ...merged, field: 'shelf', rule: 'unique.rename' }
    const kept = { ...merged, field: 'item', rule: 'onDelete.delete' }
    const history = givenTwoDevices()
      .write(1, { ...settling, changes: { item: 'i1' } })
      .write(2, { ...settling, op: 'delete' })
      .write(3, { changes: { sku: 'x' }, resolves: 'c0' })
      .write(4, { changes: { shelf: 'y' }, resolves: 'c0' })
      .write(5, { ...settling, changes: { item: 'i2' } })
      .send(1)
      .rule(1, { status: 'conflict', code: 'CONFLICT' })
      .send(2)
      .rule(2, { status: 'conflict', code: 'CONFLICT' })
      .send(3)
      .rule(3, { status: 'rejected', code: 'UNIQUE_VIOLATION' })
      .send(4)
      .rule(4, { status: 'merged', decisions: [renamed] })
      .send(5)
      .rule(5, { status: 'merged', decisions: [kept] })
    const about = { collection: 'lines', mutation: 'm1', reason: 'unique', fields: ['item'] } as const
    const conflicts = [conflict(about), conflict({ ...about, mutation: 'm2', reason: 'delete', fields: [] })]
    const { unique, deletes } = reportOf(history.end({ server: { conflicts } }))
    expect([unique, deletes]).toEqual([[], []])
  })

  test('[SIM-74] dead letters come with the sentence of the error table', () => {
    const history = givenTwoDevices()
      .write(1, { changes: { sku: 'x' } })
      .status(1, 'dead', { code: 'UNIQUE_VIOLATION', verdict: 'rejected' })
      .write(2, { collection: 'lines' })
      .status(2, 'dead', { code: 'UNIQUE_VIOLATION', verdict: 'rejected' })
    expect(reportOf(history.end()).deadLetters).toEqual([
      {
        code: 'UNIQUE_VIOLATION',
        meaning: 'Another record has this unique key.',
        count: 2,
        collections: ['items', 'lines'],
      },
    ])
  })
})

/** What a mutation is offered under. */
interface Key {
  readonly seq: number
  readonly id: string
}

const device: DevicePlan = { user: 0, tenant: 0, durability: 'full', clockOffsetMs: 0, clockDriftPpm: 0 }

describe('time and bytes', () => {
  test('[SIM-75] a wait ends with the answer, or with the pull that brought the verdict', () => {
    const history = givenTwoDevices()
      .write(1, { changes: { status: 'a' } })
      .write(2, { changes: { status: 'b' } })
    history.send(1).wait(300).rule(1).status(1, 'answered', { verdict: 'applied' }).wait(100).gone(1)
    history.send(2).wait(50).rule(2).wait(550).gone(2)
    expect(reportOf(history.end()).latency.verdict.overall).toMatchObject({ count: 2, p50: 299, max: 1_000 })
  })

  test('[SIM-75] a refused write that is tried again waited once, for the first verdict', () => {
    const history = givenTwoDevices()
      .write(1, { changes: { status: 'a' } })
      .send(1)
      .wait(100)
      .rule(1, { status: 'rejected', code: 'REFERENCE_MISSING' })
      .status(1, 'dead', { code: 'REFERENCE_MISSING', verdict: 'rejected' })
      .wait(9_000)
    const { atMs } = history
    const [from, to] = [1, 2].map((seq) => ({ seq, id: `m${seq}` })) as [Key, Key]
    history.add({ kind: 'entry-moved', atMs, disk: 'd1', device: 'D1', from, to })
    history.send(2).wait(100).status(2, 'answered', { verdict: 'applied' })
    expect(reportOf(history.end()).latency.verdict.overall).toMatchObject({ count: 1, max: 100 })
  })

  test('[SIM-75] a mutation that is held, or tried again, still waits', () => {
    const history = givenTwoDevices()
      .write(1, { changes: { status: 'a' } })
      .send(1)
      .wait(300)
    history.status(1, 'held', { verdict: 'held' }).status(1, 'pending', { verdict: 'retry' })
    expect(reportOf(history.end()).latency.verdict.overall.count).toBe(0)
  })

  test('[SIM-75] a write is visible where a cursor has passed its version, and only to who may see it', () => {
    const history = givenTwoDevices()
    history.add({ kind: 'identity', atMs: 0, disk: 'd3', device: 'D3', user: 'eve' })
    history
      .write(1, { op: 'create', changes: { site: 'a' } })
      .send(1)
      .wait(100)
      .rule(1, { version: 7 })
    history.wait(100).add({ kind: 'cursor', atMs: history.atMs, disk: 'd2', epoch: 'e', position: 6 })
    history.wait(100).add({ kind: 'cursor', atMs: history.atMs, disk: 'd3', epoch: 'e', position: 9 })
    history.wait(200).add({ kind: 'cursor', atMs: history.atMs, disk: 'd2', epoch: 'e', position: 7 })
    history.add({ kind: 'cursor', atMs: history.atMs, disk: 'd1', epoch: 'e', position: 7 })
    expect(reportOf(history.end()).latency.visible.overall).toMatchObject({ count: 1, max: 500 })
  })

  test('[SIM-75] only what was reachable all the time counts as online', () => {
    const offline = { kind: 'offline', forMs: 1_000, told: true } as const
    const plan = {
      devices: [device, device, device],
      steps: [
        { atMs: 100, device: 0, action: { kind: 'look' }, draw: 0 },
        { atMs: 400, device: 1, action: offline, draw: 0 },
      ] as const,
      chaosMs: 5_000,
    }
    const history = givenTwoDevices()
      .write(1, { changes: { status: 'a' } })
      .send(1)
      .wait(200)
      .rule(1)
    history.status(1, 'answered', { verdict: 'applied' }).wait(300)
    history
      .write(2, { changes: { status: 'b' } })
      .send(2)
      .wait(200)
      .rule(2)
    history.status(2, 'answered', { verdict: 'applied' })
    const { online, overall } = reportOf(history.end(), plan).latency.verdict
    expect([online.count, overall.count]).toEqual([1, 2])
  })

  test('[SIM-76] bytes and answered requests are those before everything healed', () => {
    const history = givenTwoDevices().write(1, { changes: { status: 'a' } })
    const atMs = 0
    const sent = (bytes: number, at: number) =>
      history.add({ kind: 'request', atMs: at, disk: 'd1', route: 'push', bytes }).add({
        kind: 'response',
        atMs: at,
        user: 'ann',
        route: 'push',
        status: 200,
        scopesSeen: [],
        bytes: 2 * bytes,
      })
    sent(100, atMs)
    history
      .add({ kind: 'request', atMs, disk: 'd1', route: 'pull', bytes: 0 })
      .add({ kind: 'healed', atMs: 5 })
    sent(1_000, 5)
    expect(reportOf(history.end()).traffic).toEqual({ edits: 1, requests: 1, bytesUp: 100, bytesDown: 200 })
  })
})

test('[SIM-72] collections that nobody could write to are named', () => {
  const history = givenTwoDevices().write(1, { changes: { status: 'a' } })
  expect(reportOf(history.end()).unwritten).toEqual(['permits', 'wards', 'desks', 'lines'])
})

test('[SIM-72] runs add up, and a broken promise keeps the seed that shows it', () => {
  const collector = new ReportCollector(givenSchema)
  const run = { operations: 10, virtualMs: 500, faults: { cut: 2, clog: 1 }, violations: [] }
  const violation = { invariant: 'exactly-once', index: 3, atMs: 7, message: 'twice' }
  collector.finish(5, run)
  collector.finish(6, { ...run, faults: { cut: 1 }, violations: [violation, violation] })
  const report = collector.report({ firstSeed: 5, devices: 2, days: 1, assumptions: [] })
  expect(report).toMatchObject({
    seeds: { first: 5, count: 2 },
    operations: 20,
    virtualMs: 1_000,
    faults: { clog: 1, cut: 3 },
    failures: [{ seed: 6, violation, count: 2 }],
  })
})
