import { simulate, type SimulateOptions, type SimulationReport } from '@holdfast/testing/simulator'
import { closeSync, openSync, writeFileSync } from 'node:fs'
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
  const write = typeof json === 'string' ? reportWriter(json) : undefined
  const { report, isInterrupted } = await run(file, asked, more)
  printSimulation(report, output, (seed) => `holdfast simulate ${replayOptions(file, asked, seed)}`)
  write?.(report)
  if (report.failures.length > 0 || report.traffic.edits === 0) return 1
  return isInterrupted ? interruptedCode : 0
}

/** Of a process that Ctrl-C ended. */
const interruptedCode = 130

/** Whoever started us may pass on what the terminal has told us already: what comes closer than this is one Ctrl-C, ms. */
const sameInterruptMs = 300

async function run(
  file: string,
  { team, budgetMs, seeds }: AskedSimulation,
  more: Pick<SimulateOptions, 'checkers'>,
): Promise<{ readonly report: SimulationReport; readonly isInterrupted: boolean }> {
  const schema = await loadSchema(file)
  const bar = progressBar(process.stderr)
  const startedMs = performance.now()
  let interruptedMs: number | undefined
  const interrupt = (): void => {
    const nowMs = performance.now()
    if (interruptedMs !== undefined) {
      if (nowMs - interruptedMs < sameInterruptMs) return
      bar.stop()
      process.exit(interruptedCode)
    }
    interruptedMs = nowMs
    bar.say('ends after this run; Ctrl-C again ends it at once')
  }
  process.on('SIGINT', interrupt)
  try {
    const report = await simulate({
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
        return spentMs < budgetMs && interruptedMs === undefined
      },
    })
    return { report, isInterrupted: interruptedMs !== undefined }
  } finally {
    process.off('SIGINT', interrupt)
    bar.stop()
  }
}

/** Tried before anything is run: nobody waits for a report that cannot be kept. */
function reportWriter(path: string): (report: SimulationReport) => void {
  const file = resolve(path)
  const attempt = (write: () => void): void => {
    try {
      write()
    } catch (cause) {
      throw new CommandError(`${file} cannot be written: ${firstLine(cause)}`, { cause })
    }
  }
  attempt(() => closeSync(openSync(file, 'a')))
  return (report) => attempt(() => writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`))
}
