import { type MigrationPlan, planMigration, runMigration } from '@holdfast/server'

import { CommandError, firstLine } from './command-error.ts'
import type { GivenOptions } from './given-options.ts'
import type { Output } from './output.ts'
import { postgresOptions } from './postgres-options.ts'

/** `holdfast migrate`: says what it will do, then does it. Rules: OP-33, OP-34. */
export async function runMigrate(given: GivenOptions, output: Output): Promise<number> {
  const { line, colors } = output
  const options = await postgresOptions('migrate', given)
  try {
    const plan = await planMigration(options)
    printPlan(plan, output)
    if (plan.refusals.length > 0) return 1
    if (plan.steps.length === 0) return 0
    if (given['dry-run'] === true) {
      for (const { says, sql } of plan.steps) line(`\n-- ${says}\n${sql};`)
      line('\nnothing was changed')
      return 0
    }
    const { rows } = await runMigration({
      ...options,
      onStep: (says) => line(`${colors.green('✓')} ${says}`),
    })
    line(
      `the database is prepared for schema version ${options.schema.version}; ${rows} rows were brought up`,
    )
    return 0
  } catch (cause) {
    if (cause instanceof CommandError) throw cause
    throw new CommandError(`migrate stopped: ${told(cause)}`, { cause })
  }
}

function printPlan({ steps, refusals, notes }: MigrationPlan, { line, colors }: Output): void {
  for (const note of notes) line(`${colors.yellow('·')} ${note}`)
  if (refusals.length > 0) {
    line('nothing was changed, because')
    for (const refusal of refusals) line(`${colors.red('✗')} ${refusal}`)
  } else if (steps.length === 0) line('there is nothing to do')
  else {
    line('to do:')
    for (const { says } of steps) line(`  ${says}`)
  }
}

/** What went wrong, with what the database said. */
export function told(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? `: ${firstLine(error.cause)}` : ''
  return `${firstLine(error)}${cause}`
}
