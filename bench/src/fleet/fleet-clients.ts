/** Real clients beside a storm: each writes about once a second and syncs by itself. Gone when its parent is. */
import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'

import { fleetSchema } from './fleet-schema.ts'

/** What the clients are told. */
export interface ClientsOrder {
  readonly ports: readonly number[]
  readonly clients: number
}

/** What came of them. */
export interface ClientsReport {
  /** Every one of them was settled as applied. */
  readonly writes: number
  /** From the call of a write until the server's verdict, ms, in no order. */
  readonly verdictMs: readonly number[]
  /** What the server said of others than those. */
  readonly others: readonly string[]
}

/** Of warehouses that no phone of the storm is in. */
const firstNumber = 1_000_000

// Its only caller writes the argument in this shape.
const { ports, clients } = JSON.parse(process.argv[2] ?? '') as ClientsOrder
const verdictMs: number[] = []
const others: string[] = []
let isOver = false

async function open(n: number): Promise<Client<typeof fleetSchema>> {
  return openClient({
    schema: fleetSchema,
    storage: sqliteStorage(':memory:'),
    server: `http://127.0.0.1:${ports[n % ports.length]}`,
    auth: `u${firstNumber + n}.w${firstNumber + n}`,
    durability: 'fast',
  })
}

/** Writes until it is told that it is enough, then waits for the verdict on each. Returns how many there were. */
async function work(n: number): Promise<number> {
  const db = await open(n)
  const verdicts: Promise<void>[] = []
  while (!isOver) {
    const startedMs = performance.now()
    const sku = `C-${n}-${verdicts.length}`
    const id = await db.counts.insert({ warehouse: `w${firstNumber + n}`, sku, note: '' })
    verdicts.push(
      db.counts.verdict(id).then(({ status }) => {
        if (status === 'applied') verdictMs.push(performance.now() - startedMs)
        else others.push(status)
      }),
    )
    await new Promise((resolve) => setTimeout(resolve, 500 + Math.random() * 1_000))
  }
  await Promise.all(verdicts)
  await db.close()
  return verdicts.length
}

process.on('message', () => {
  isOver = true
})
process.on('disconnect', () => process.exit(0))
const working = Promise.all(Array.from({ length: clients }, (_, n) => work(n)))
process.send?.('ready')
const writes = (await working).reduce((sum, count) => sum + count, 0)
process.send?.({ writes, verdictMs, others } satisfies ClientsReport)
