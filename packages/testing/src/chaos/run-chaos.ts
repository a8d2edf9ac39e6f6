import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { numberOf, readCommandLine, wordOf } from '../command-line.ts'
import { type AuditReport, auditFiles } from './audit.ts'
import { Conductor, type Trouble } from './conductor.ts'
import type { ServerKind } from './server-side.ts'

/** What a chaos run is asked for. */
export interface ChaosOptions {
  readonly seed: number
  /** Processes to kill; the run goes on until so many are dead. */
  readonly kills: number
  readonly devices?: number
  /** The storm ends after this long even with fewer kills, ms. */
  readonly longestMs?: number
  /** How a disk gets full: a disk of its own where the machine allows it (needs root), or a limit on the size of files. */
  readonly disk?: 'loop' | 'limit'
  /** The longest pause between two writes of a device, ms: the shorter, the more is written. */
  readonly paceMs?: number
  /** The longest pause between two troubles, ms: the longer, the more is written between them. */
  readonly everyMs?: number
  /**
   * `postgres`: two nodes over a PostgreSQL that is killed as well; `queued`: those, a worker and a Redis, where each push is
   * queued, and all of them are killed, and Redis hangs and forgets; `sqlite`, one process on a file, unless said.
   */
  readonly server?: ServerKind
}

/** What a chaos run did and found. */
export interface ChaosReport {
  readonly seed: number
  readonly server: ServerKind
  readonly kills: Readonly<Record<'devices' | 'server' | 'worker' | 'database' | 'redis', number>>
  readonly troubles: Readonly<Record<Trouble | 'freeze redis' | 'flush redis', number>>
  /** By kind, over all proxies. */
  readonly faults: Readonly<Record<string, number>>
  readonly writes: AuditReport['writes']
  readonly givenUp: AuditReport['givenUp']
  /** Why the full disk was a limit on files instead; null when it was a disk. */
  readonly diskNote: string | null
  readonly violations: readonly string[]
  /** Kept only when something was violated. */
  readonly folder: string
  readonly seconds: number
}

/** What is open becomes less within this, ms: the longest silence of a proxy, a lease and a few cycles fit many times. */
const quietMs = 60_000

/**
 * Kills real processes in the middle of real work, heals, waits for quiet and audits the files. The seed decides what
 * is done; when exactly it strikes, the machine does, so that the same seed is the same storm, not the same run.
 */
export async function runChaos({
  seed,
  kills,
  devices = 3,
  longestMs = 3_600_000,
  disk = 'loop',
  paceMs = 12,
  everyMs = 160,
  server = 'sqlite',
}: ChaosOptions): Promise<ChaosReport> {
  const startMs = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-chaos-'))
  const conductor = new Conductor({ seed, folder, devices, disk, paceMs, everyMs, server })
  let audit: AuditReport = { violations: [], writes: { durable: 0, unknown: 0, refused: 0 }, givenUp: 0 }
  try {
    await conductor.start()
    await conductor.rage(kills, longestMs)
    await conductor.heal()
    await conductor.quiet(quietMs)
    audit = auditFiles(await conductor.close(), conductor.devices)
  } catch (error) {
    // What was seen before it is in the report too.
    conductor.violations.push(`the run broke off: ${String(error)}`)
  } finally {
    await conductor.destroy()
  }
  const violations = [...conductor.violations, ...audit.violations]
  if (conductor.kills < kills) violations.push(`only ${conductor.kills} of ${kills} processes were killed`)
  if (violations.length === 0) rmSync(folder, { recursive: true, force: true })
  const { kills: killed, frozenRedis, flushedRedis } = conductor.serverTroubles
  return {
    seed,
    server,
    kills: { devices: conductor.devices.reduce((sum, device) => sum + device.kills, 0), ...killed },
    troubles: { ...conductor.troubles, 'freeze redis': frozenRedis, 'flush redis': flushedRedis },
    faults: sumFaults(conductor),
    writes: audit.writes,
    givenUp: audit.givenUp,
    diskNote: conductor.diskNote,
    violations,
    folder,
    seconds: Math.round((performance.now() - startMs) / 1_000),
  }
}

/** A report for people. */
export function chaosSummary(report: ChaosReport): string {
  const all = Object.values(report.kills).reduce((sum, count) => sum + count, 0)
  const { durable, unknown, refused } = report.writes
  const list = (counts: object): string =>
    Object.entries(counts)
      .filter(([, count]) => count !== 0)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')
  const disk = report.diskNote === null ? 'a loop-mounted disk' : `a limit on files (${report.diskNote})`
  return [
    `chaos with seed ${report.seed}, ${report.seconds} s`,
    `killed     ${all}: ${list(report.kills)}`,
    `troubles   ${list(report.troubles)}; the full disk was ${disk}`,
    `network    ${list(report.faults)}`,
    `writes     acknowledged ${durable}, refused ${refused}, died before they heard ${unknown}, taken back unheard ${report.givenUp}`,
    report.violations.length === 0
      ? 'verdict    every acknowledged write has its outcome, each count once, pairs whole, devices equal, files sound'
      : `verdict    ${report.violations.length} violations; kept in ${report.folder}`,
    ...report.violations.slice(0, 50).map((violation) => `  ${violation}`),
    ...(report.violations.length === 0
      ? []
      : [
          `again with: npm run chaos -- --kills ${all} --seed ${report.seed}${report.server === 'sqlite' ? '' : ` --server ${report.server}`}`,
        ]),
  ].join('\n')
}

function sumFaults({ devices }: Conductor): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { proxy } of devices)
    for (const [kind, count] of Object.entries(proxy.struck)) sums[kind] = (sums[kind] ?? 0) + count
  return sums
}

const help = `npm run chaos -- [options]

Kills, freezes and cuts off real devices and a real server, and audits what is left.

  --kills N         kills in all; 20 unless said
  --devices N       3 unless said
  --seed N          another one each time unless said
  --server NAME     sqlite (unless said), postgres or queued
  --disk NAME       what fills up: a loop-mounted disk (loop, unless said), or a limit on files (limit)
  --pace N          longest pause between two writes of a device, ms; 12 unless said
  --every N         longest pause between two troubles, ms; 160 unless said
`

if (import.meta.main) {
  const args = readCommandLine({
    kills: { type: 'string', default: '20' },
    devices: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    disk: { type: 'string', default: 'loop' },
    pace: { type: 'string', default: '12' },
    every: { type: 'string', default: '160' },
    server: { type: 'string', default: 'sqlite' },
    help: { type: 'boolean', default: false },
  })
  if (args.help) {
    process.stdout.write(help)
    process.exit()
  }
  const report = await runChaos({
    seed: numberOf('seed', args.seed, { least: 0 }),
    kills: numberOf('kills', args.kills, { least: 1 }),
    devices: numberOf('devices', args.devices, { least: 1, most: 100 }),
    disk: wordOf('disk', args.disk, ['loop', 'limit']),
    paceMs: numberOf('pace', args.pace, { least: 1 }),
    everyMs: numberOf('every', args.every, { least: 1 }),
    server: wordOf('server', args.server, ['sqlite', 'postgres', 'queued']),
  })
  process.stdout.write(`${chaosSummary(report)}\n`)
  process.exitCode = report.violations.length === 0 ? 0 : 1
}
