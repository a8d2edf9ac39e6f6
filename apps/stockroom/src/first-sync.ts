import type { Device } from './devices.ts'
import { sumBytes } from './network-link.ts'
import type { Narrator } from './telling/narrator.ts'
import { startProgress } from './telling/progress.ts'

/** The first sync of every device, one after the other, with a progress bar. */
export async function firstSync(
  devices: readonly Device[],
  { tell, rowCount, isTerminal }: { tell: Narrator; rowCount: number; isTerminal: boolean },
): Promise<void> {
  for (const device of devices) {
    const bar = startProgress({
      label: device.person.name,
      tone: device.tone,
      total: rowCount,
      tell,
      isTerminal,
    })
    const stop = device.db.status.subscribe((status) => bar.update(status.progress?.rows ?? 0))
    const startedMs = performance.now()
    await device.db.sync.now()
    const ms = performance.now() - startedMs
    stop()
    const rows = (await device.db.query((q) => q.selectFrom('films').select('id'))).length
    bar.done({ rows, bytes: sumBytes(device.link.takeExchanges()).down, ms })
  }
}
