import { canonicalJson, type Values } from '@holdfast/core'

import type { Device } from './devices.ts'
import type { ServerView } from './server-view.ts'
import { textOf } from './telling/text-of.ts'

/** What came of comparing whole copies. */
export interface CopiesCompared {
  readonly rowCount: number
  /** One line for each difference; empty when all copies are equal. */
  readonly differences: readonly string[]
}

/** Differences told one by one; more than these help nobody. */
const toldDifferences = 20

/** Compares every row of the devices with the server's, value for value, version and times included. */
export async function compareCopies(devices: readonly Device[], server: ServerView): Promise<CopiesCompared> {
  const onServer = rowsById((await server.allFilms()).map(serverRow))
  const differences: string[] = []
  for (const device of devices) {
    const films = await device.db.query((q) => q.selectFrom('films').selectAll().orderBy('id'))
    const onDevice = rowsById(films.map((film) => deviceRow({ ...film })))
    for (const id of new Set([...onServer.keys(), ...onDevice.keys()])) {
      const [here = 'not there', there = 'not there'] = [onDevice.get(id), onServer.get(id)]
      if (here !== there) differences.push(`${device.person.name} ${id}\n  device ${here}\n  server ${there}`)
    }
    const unsettled = await device.db.outbox.list()
    for (const entry of unsettled) {
      differences.push(
        `${device.person.name} still has edit ${entry.seq} of ${entry.record}: ${entry.status}`,
      )
    }
  }
  const more = differences.length - toldDifferences
  const told = differences.slice(0, toldDifferences)
  return { rowCount: onServer.size, differences: more > 0 ? [...told, `and ${more} more`] : told }
}

function rowsById(rows: readonly Values[]): ReadonlyMap<string, string> {
  return new Map(rows.map((row) => [textOf(row['id']), canonicalJson(row)]))
}

/** The two sides name what is not a field differently; the names of the server are used for both. */
function deviceRow({
  _state,
  _created_at,
  _updated_at,
  _server_updated_at,
  _version,
  ...fields
}: Values): Values {
  return {
    ...fields,
    version: _version ?? null,
    created_at: _created_at ?? null,
    updated_at: _updated_at ?? null,
    server_updated_at: _server_updated_at ?? null,
  }
}

function serverRow({ deleted_at: _, ...row }: Values): Values {
  return row
}
