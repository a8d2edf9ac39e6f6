import type { Environment, Limits } from '@holdfast/core'
import type { Caller, ChangesSince, User } from '../engine.ts'
import { scopeList, visibilityOf } from '../scope/grants.ts'
import type { Reached, Store } from '../store/store.ts'
import { scopesHash } from './cursor.ts'

/** What a plain client's sync by time is asked with. */
export interface ChangesSinceQuery<U extends User> {
  readonly caller: Caller<U>
  /** null: all collections but the system's. */
  readonly collection: string | null
  readonly time: string | null
  readonly env: Environment
  readonly limits: Limits
}

/**
 * Rows that changed since a time this server issued, chosen by the position it stands for: repeats are possible, gaps
 * are not. A user whose grants changed since then is given everything again, and so is who brings a time from before the
 * newest opening of the store that is not known: a backup may have undone what it stands for. Rules: PL-18 to PL-20, PL-22.
 */
export async function readChangesSince<U extends User>(
  store: Store,
  query: ChangesSinceQuery<U>,
): Promise<ChangesSince> {
  const { caller, collection, time, env, limits } = query
  const { user } = caller
  const scopes = scopeList(visibilityOf(user, caller.grants))
  const hash = scopesHash(scopes)
  const name = collection ?? ''
  const { changes, position } = await store.read(async (tx) => {
    const issued = time === null ? null : await tx.issuedTime(user.id, name, time)
    const isKnown =
      issued !== null && (issued.time === time || time === null || time >= (await tx.state()).openedAt)
    let reached: Reached = { position: isKnown && issued.scopes === hash ? issued.position : 0, ahead: {} }
    const changes: string[] = []
    // These clients know no pages: what they are not given now they would not ask for.
    for (let count = 0; count < limits.pullPages; count++) {
      const from = { ...reached, scopes }
      const page = await tx.rowsPage(from, { rows: limits.pullRowsMax, bytes: limits.pageBytes }, collection)
      changes.push(...page.changes)
      reached = page.reached
      if (!page.more) break
    }
    // What was read beyond this position is given again.
    return { changes, position: reached.position }
  })
  const syncTimestamp = new Date(env.now()).toISOString()
  await store.write((tx) => tx.saveIssuedTime(user.id, name, { time: syncTimestamp, position, scopes: hash }))
  return { text: `[${changes.join(',')}]`, syncTimestamp }
}
