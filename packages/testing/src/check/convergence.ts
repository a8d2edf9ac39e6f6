import type { Checker } from './checker.ts'
import type { DeviceDump, DumpedConflict, DumpedRow, RunEnded, ServerDump } from './observation.ts'
import { sameValue, show } from './same-value.ts'

/** Differences of one device that are spelled out; a device that is wholly behind has thousands. */
const shownMax = 5

/**
 * Once everything is quiet, each device has exactly the server's rows in its grants, and nothing is left aside. A record
 * with unsettled mutations shows what its author made of it, so that only its being there is left out of the comparison,
 * and its values. Rules: SIM-36.
 */
export const convergence: Checker = {
  name: 'convergence',
  promise: 'After all faults are over, every device has what the server has for it.',
  start: (fail) => (o) => {
    if (o.kind !== 'end') return
    for (const message of o.server.damage) fail(`the server's file is damaged: ${message}`)
    for (const dump of o.devices) {
      for (const message of dump.damage) fail(`the file of ${dump.disk} is damaged: ${message}`)
      if (o.quietAtMs === null) continue
      const messages = [...rowProblems(o, dump), ...conflictProblems(o.server, dump), ...leftAside(dump)]
      for (const message of messages.slice(0, shownMax)) fail(message)
      if (messages.length > shownMax)
        fail(`${dump.disk} differs in ${messages.length - shownMax} more places`)
    }
  },
}

function rowProblems({ server }: RunEnded, dump: DeviceDump): readonly string[] {
  const granted = new Set([...dump.grants, 'global', `~user:${dump.user}`])
  const isGranted = (record: string): boolean =>
    granted.has('*') || (server.scopes[record] ?? []).some((scope) => granted.has(scope))
  const unsettled = new Set(dump.outbox.map(({ collection, record }) => `${collection}/${record}`))
  const problems: string[] = []
  for (const collection of new Set([...Object.keys(server.collections), ...Object.keys(dump.collections)])) {
    if (collection.startsWith('_')) continue
    const here = new Map((dump.collections[collection] ?? []).map((row) => [row.id, row]))
    for (const row of server.collections[collection] ?? []) {
      const name = `${collection}/${row.id}`
      const own = here.get(row.id)
      here.delete(row.id)
      if (unsettled.has(name)) continue
      if (!isGranted(name)) {
        if (own) problems.push(`${dump.disk} keeps ${name}, which is in none of its scopes`)
      } else if (own) problems.push(...differences(`${name} on ${dump.disk}`, own, row))
      else problems.push(`${dump.disk} lacks ${name} at version ${row.version}`)
    }
    for (const id of here.keys()) {
      if (!unsettled.has(`${collection}/${id}`)) {
        problems.push(`${dump.disk} has ${collection}/${id}, which the server does not have`)
      }
    }
  }
  return problems
}

function differences(name: string, own: DumpedRow, row: DumpedRow): readonly string[] {
  const problems: string[] = []
  if (own.version !== row.version)
    problems.push(`${name} is at version ${own.version} instead of ${row.version}`)
  for (const field of new Set([...Object.keys(own.values), ...Object.keys(row.values)])) {
    const [here, there] = [own.values[field] ?? null, row.values[field] ?? null]
    if (!sameValue(here, there)) problems.push(`${name} has ${field} ${show(here)} instead of ${show(there)}`)
  }
  if (own.createdAt !== row.createdAt) {
    problems.push(`${name} was created at ${own.createdAt} instead of ${row.createdAt}`)
  }
  if (own.updatedAt !== row.updatedAt) {
    problems.push(`${name} was updated at ${own.updatedAt} instead of ${row.updatedAt}`)
  }
  return problems
}

/**
 * A conflict lies where all its records lie, and its author sees it always. One about a unique key lies where the two
 * records meet of which it names one, and that of a deleted record stays where it was: who else sees these is not told.
 */
function conflictProblems(server: ServerDump, dump: DeviceDump): readonly string[] {
  const problems: string[] = []
  const known = new Map(server.conflicts.map((conflict) => [conflict.id, conflict]))
  const listed = new Set<string>()
  for (const { id, status } of dump.conflicts) {
    listed.add(id)
    const there = known.get(id)
    if (!there) problems.push(`${dump.disk} lists the conflict ${id}, which the server does not have`)
    else if (there.status !== status) {
      problems.push(`${dump.disk} lists the conflict ${id} as ${status} instead of ${there.status}`)
    }
  }
  for (const conflict of server.conflicts) {
    const { id, author, status } = conflict
    if (listed.has(id)) continue
    if (author === dump.user && status === 'open') {
      problems.push(`${dump.disk} does not list the open conflict ${id} of its own user`)
    } else if (scopesOf(server, conflict).some((scope) => dump.grants.includes(scope))) {
      problems.push(`${dump.disk} does not list the conflict ${id}, which lies in the scopes of its user`)
    }
  }
  return problems
}

function scopesOf({ scopes }: ServerDump, { reason, records = [] }: DumpedConflict): readonly string[] {
  const [first = [], ...others] = records.map((record) => scopes[record] ?? [])
  if (reason === 'unique') return []
  return first.filter((scope) => others.every((list) => list.includes(scope)))
}

function leftAside({
  disk,
  outbox,
  stagedCount,
  quarantineCount,
  shadowCount,
}: DeviceDump): readonly string[] {
  const problems: string[] = []
  if (stagedCount > 0) problems.push(`${disk} has ${stagedCount} staged pages although everything is quiet`)
  if (quarantineCount > 0) problems.push(`${disk} has ${quarantineCount} rows in quarantine`)
  const records = new Set(outbox.map(({ collection, record }) => `${collection}/${record}`))
  if (shadowCount > records.size) {
    problems.push(`${disk} keeps ${shadowCount} shadows for ${records.size} records with unsettled mutations`)
  }
  return problems
}
