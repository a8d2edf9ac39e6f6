import { everyScope, globalScope, personalScope, scopesOfRow } from '@holdfast/core'

import { marksIn } from '../gen/mix-schema.ts'
import type { SeededRandom } from '../seeded-random.ts'
import { quoted, valuesOf } from './dump-rows.ts'
import type { SimDevice } from './sim-device.ts'
import type { World } from './world.ts'

/** Somebody who knows the id of a record that lies in none of their scopes asks for it, by plain HTTP. Rules: SIM-28. */
export async function spy(world: World, device: SimDevice, random: SeededRandom): Promise<void> {
  const { storage, server, grants } = world
  const { user } = device
  const { answer } = server.destination()
  // A server that does not run may be on its way to tables that it does not have yet.
  if (answer === null) return
  const granted = new Set([...(grants.get(user) ?? []), globalScope, personalScope(user)])
  if (granted.has(everyScope)) return
  const hidden: { readonly path: string; readonly scopes: readonly string[] }[] = []
  for (const collection of server.schema.collections.values()) {
    for (const row of await storage.read(`SELECT * FROM ${quoted(collection.name)} ORDER BY id LIMIT 50`)) {
      const scopes = scopesOfRow(collection.scopes, valuesOf(collection, row))
      const path = `${collection.name}/${row['id']}`
      if (!scopes.some((scope) => granted.has(scope))) hidden.push({ path, scopes })
    }
  }
  const target = hidden[random.below(Math.max(1, hidden.length))]
  if (target === undefined) return
  world.faults.add('spy')
  const headers = { authorization: `Bearer ${world.tokenOf(user)}` }
  const url = `https://any.example/records/${target.path}${random.below(2) === 0 ? '' : '/history'}`
  const response = await answer(new Request(url, { headers }))
  const { status } = response
  const scopesSeen = marksIn(await response.text())
  world.observe({
    kind: 'response',
    atMs: world.scheduler.nowMs,
    user,
    route: 'records',
    status,
    scopesSeen,
    scopesServed: status === 200 ? target.scopes.slice(0, 1) : [],
  })
}
