import { simulate, type SimulateOptions, type SimulationReport } from '@holdfast/testing/simulator'
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'

import { CommandError, firstLine } from './command-error.ts'
import type { GivenOptions } from './given-options.ts'
import { loadSchema } from './load-schema.ts'
import type { Output } from './output.ts'
import { progressBar } from './progress-bar.ts'
import { printSimulation } from './print-simulation.ts'
import { type AskedSimulation, readSimulation, replayOptions } from './simulate-options.ts'

/**
 * `holdfast simulate`: runs a schema with simulated people until the time is over, and says what came of it. Resolves
 * with 0 when every promise was kept, else with 1. Rules: OP-29 to OP-32.
 */
export async function runSimulate(
  given: GivenOptions,
  output: Output,
  more: Pick<SimulateOptions, 'checkers'> = {},
): Promise<number> {
  const { schema: file, json } = given
  if (file === undefined) throw new CommandError('simulate needs --schema FILE. Try: holdfast help simulate')
  const asked = readSimulation(given)
  const report = await run(file, asked, more)
  if (typeof json === 'string') writeReport(json, report)
  printSimulation(report, output, (seed) => `holdfast simulate ${replayOptions(file, asked, seed)}`)
  return report.failures.length === 0 ? 0 : 1
}

async function run(
  file: string,
  { team, budgetMs, seeds }: AskedSimulation,
  more: Pick<SimulateOptions, 'checkers'>,
): Promise<SimulationReport> {
  const schema = await loadSchema(file)
  const bar = progressBar(process.stderr)
  const startedMs = performance.now()
  try {
    return await simulate({
      ...team,
      ...more,
      schema,
      seeds,
      progress: ({ seeds: done, share, operations, failures }) => {
        const spentMs = performance.now() - startedMs
        const ofSeeds = Number.isFinite(seeds) ? (done + share) / seeds : 0
        const broken = failures === 0 ? '' : `, ${failures} broke a promise`
        bar.update(
          Math.max(spentMs / budgetMs, ofSeeds),
          `${done} ${done === 1 ? 'run' : 'runs'}, ${operations} operations${broken}`,
        )
        return spentMs < budgetMs
      },
    })
  } finally {
    bar.stop()
  }
}

function writeReport(path: string, report: SimulationReport): void {
  const file = resolve(path)
  try {
    writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
  } catch (cause) {
    throw new CommandError(`${file} cannot be written: ${firstLine(cause)}`, { cause })
  }
}
