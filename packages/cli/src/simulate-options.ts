import type { FaultLevel, SimulateOptions } from '@holdfast/testing/simulator'

import { CommandError } from './command-error.ts'
import type { GivenOptions } from './given-options.ts'

/** What `holdfast simulate` was asked for. */
export interface AskedSimulation {
  readonly team: Required<
    Pick<SimulateOptions, 'devices' | 'days' | 'edits' | 'offlineMs' | 'faults' | 'seed'>
  >
  /** Ends the simulation after the run in which it is over; ms. */
  readonly budgetMs: number
  readonly seeds: number
}

const unitMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Reads the options. Errors: CommandError, one line that says what there is. */
export function readSimulation(given: GivenOptions): AskedSimulation {
  const minutes = numberOf(given, 'minutes', { least: 0.01, most: 10_000 })
  const seeds = numberOf(given, 'seeds', { least: 1, most: 1_000_000, isWhole: true })
  return {
    team: {
      devices: numberOf(given, 'devices', { least: 1, most: 500, isWhole: true }) ?? 20,
      days: numberOf(given, 'days', { least: 1, most: 60, isWhole: true }) ?? 2,
      edits: numberOf(given, 'edits', { least: 1, most: 5_000, isWhole: true }) ?? 40,
      seed: numberOf(given, 'seed', { least: 0, most: 2 ** 31, isWhole: true }) ?? 1,
      offlineMs: offlineMsOf(given.offline ?? '8h'),
      faults: faultsOf(given.faults ?? 'usual'),
    },
    // Whoever says how many runs does not care how long they take.
    budgetMs: (minutes ?? (seeds === undefined ? 5 : Number.POSITIVE_INFINITY)) * 60_000,
    seeds: seeds ?? Number.POSITIVE_INFINITY,
  }
}

/** The options that show a seed again. */
export function replayOptions(schema: string, { team }: AskedSimulation, seed: number): string {
  const { devices, days, edits, offlineMs, faults } = team
  const offline = offlineMs === 0 ? '0' : `${offlineMs / 60_000}m`
  return `--schema ${shellWord(schema)} --devices ${devices} --days ${days} --edits ${edits} --offline ${offline} --faults ${faults} --seed ${seed} --seeds 1`
}

/** A word as a shell takes it, whatever it holds. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

function numberOf(
  given: GivenOptions,
  name: 'minutes' | 'seeds' | 'devices' | 'days' | 'edits' | 'seed',
  {
    least,
    most,
    isWhole = false,
  }: { readonly least: number; readonly most: number; readonly isWhole?: boolean },
): number | undefined {
  const text = given[name]
  if (text === undefined) return undefined
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most && (!isWhole || Number.isInteger(value))) return value
  throw new CommandError(
    `--${name} is a ${isWhole ? 'whole ' : ''}number from ${least} to ${most}, not "${text}".`,
  )
}

function offlineMsOf(text: string): number {
  if (text === '0') return 0
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)([mhd])$/.exec(text) ?? []
  const ms = Number(count) * (unitMs[unit] ?? Number.NaN)
  if (ms >= 0 && ms <= 30 * 86_400_000) return ms
  throw new CommandError(
    `--offline is a time of at most 30d, such as 30m, 8h or 2d, or 0 for never; not "${text}".`,
  )
}

function faultsOf(text: string): FaultLevel {
  if (text === 'none' || text === 'usual' || text === 'harsh') return text
  throw new CommandError(`--faults is none, usual or harsh, not "${text}".`)
}
