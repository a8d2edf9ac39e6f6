import { reconcile } from '@holdfast/server'

import { CommandError } from './command-error.ts'
import type { GivenOptions } from './given-options.ts'
import { told } from './migrate.ts'
import type { Output } from './output.ts'
import { postgresOptions } from './postgres-options.ts'

/** `holdfast reconcile`: mends what `doctor` finds about rows. Rules: OP-36. */
export async function runReconcile(given: GivenOptions, { line }: Output): Promise<number> {
  const options = await postgresOptions('reconcile', given)
  const dryRun = given['dry-run'] === true
  try {
    const { collections, stamped } = await reconcile({ ...options, dryRun })
    for (const { name, entered, deleted } of collections)
      line(
        `${name}: ${entered} rows ${dryRun ? 'to bring' : 'brought'} into the feed, ${deleted} ${dryRun ? 'to be ' : ''}deleted in it`,
      )
    line(`${stamped} transactions ${dryRun ? 'lack' : 'were given'} a position`)
    if (dryRun) line('nothing was changed')
    return 0
  } catch (cause) {
    throw new CommandError(`reconcile stopped: ${told(cause)}`, { cause })
  }
}
