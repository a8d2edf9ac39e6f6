import type { Device } from './devices.ts'
import { sumBytes } from './network-link.ts'
import { formatBytes, formatCount } from './telling/layout.ts'
import type { Narrator } from './telling/narrator.ts'

/** The first sync of every device, one after the other, with a progress bar and what it took. */
export async function firstSync(
  devices: readonly Device[],
  { tell, rowCount }: { tell: Narrator; rowCount: number },
): Promise<void> {
  for (const { person, tone, db, link } of devices) {
    const name = tell.tint(tone, person.name)
    const bar = tell.progress(name, rowCount)
    const unsubscribe = db.status.subscribe((status) => bar.update(status.progress?.rows ?? 0))
    const startedMs = performance.now()
    await db.sync.now()
    const ms = performance.now() - startedMs
    unsubscribe()
    bar.stop()
    const rows = (await db.query((q) => q.selectFrom('films').select('id'))).length
    const speed = `${formatCount((rows * 1000) / ms)} rows/s`
    const bytes = formatBytes(sumBytes(link.takeExchanges()).down)
    tell.item(name, [`${formatCount(rows)} rows in ${Math.round(ms)} ms, ${bytes}, ${speed}`])
  }
}
