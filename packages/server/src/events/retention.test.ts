import { afterEach, beforeEach, expect, test } from 'vitest'

import { EventNodes, eventually, pass } from './given-events.ts'

let nodes: EventNodes
beforeEach(async () => {
  nodes = await EventNodes.open()
})
afterEach(() => nodes.close())

const dayMs = 86_400_000

async function deletions(): Promise<unknown> {
  const [row] = await nodes.database.rows(`SELECT count(*) AS n FROM holdfast_feed WHERE op = 'delete'`)
  return row?.['n']
}

test('[OP-40] deletions older than the days that were asked for are forgotten, again and again', async () => {
  const limits = { retentionIntervalMs: 40 }
  const today = await nodes.start({ retention: { tombstoneDays: 30 }, limits })
  await today.remove('notes', await today.put('notes', { body: 'n' }))
  await pass(150)
  expect(await deletions()).toBe(1)
  await nodes.start({ retention: { tombstoneDays: 30 }, limits, aheadMs: 31 * dayMs })
  await eventually(async () => expect(await deletions()).toBe(0))
  await today.remove('notes', await today.put('notes', { body: 'n' }))
  await eventually(async () => expect(await deletions()).toBe(0))
})

test('[OP-40] without days nothing is forgotten, and days that are none are refused', async () => {
  const node = await nodes.start({ limits: { retentionIntervalMs: 20 }, aheadMs: -400 * dayMs })
  await node.remove('notes', await node.put('notes', { body: 'n' }))
  await nodes.start({ limits: { retentionIntervalMs: 20 } })
  await pass(150)
  expect(await deletions()).toBe(1)
  for (const tombstoneDays of [0, Number.NaN, -1])
    await expect(nodes.start({ retention: { tombstoneDays } })).rejects.toMatchObject({
      code: 'SCHEMA_INVALID',
    })
})
