import { appendFileSync } from 'node:fs'
import { openDevice } from './shop-device.ts'

/**
 * A device in a process of its own, started by a test that kills it. Sells one piece of `item` at a time until it is
 * killed or has sold `count`, and prints `sold <n>` after each sale that was acknowledged; syncs beside that. What it
 * prints may be lost with it where nobody reads for a while: each is a line of the file `told`, too.
 */
interface Order {
  readonly path: string
  readonly told: string
  readonly url: string
  readonly user: string
  readonly item: string
  readonly count: number
  /** `sync` after this many sales. */
  readonly syncEvery: number
}

// The test, its only caller, writes the argument in this shape.
const order = JSON.parse(process.argv[2] ?? '') as Order

const db = await openDevice({ path: order.path, url: order.url, auth: order.user })
process.stdout.write('open\n')
let syncing: Promise<unknown> = Promise.resolve()
for (let sold = 1; sold <= order.count; sold++) {
  await db.items.increment(order.item, { stock: -1 })
  appendFileSync(order.told, 'sold\n')
  process.stdout.write(`sold ${sold}\n`)
  // Not awaited: the kill should also hit sales that happen in the middle of a push.
  if (sold % order.syncEvery === 0) syncing = syncing.then(() => db.sync.now().catch(() => undefined))
}
await syncing
process.stdout.write('done\n')
await db.close()
