import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { openDevice, people } from '../devices.ts'
import { textOf } from '../telling/text-of.ts'
import type { Story } from './story.ts'

/**
 * The worst moment: the server has stored the sale, the answer is on its way, and the device's process is killed. The
 * process is a real one, with a database file of its own, and the signal is a real SIGKILL.
 */
export const killedInMidPush: Story = {
  title: 'A device is killed in the middle of a push',
  moral: 'Offered again after the crash, and known already: one sale, one effect.',
  expected: {
    signal: 'SIGKILL',
    onServerWhenKilled: 4,
    onDeviceAfterRestart: 4,
    unsettledAfterRestart: 1,
    unsettledAfterSync: 0,
    stock: [4, 4, 4],
    sales: 1,
  },
  async play(stage) {
    const { gate, url, office, folder, server, tell } = stage.parts
    const film = await stage.film('Toy Story')
    tell.say(
      `${film.title} (${film.year}), ${film.stock} discs. Cleo sells one; her app is a process of its own.`,
    )

    tell.gap()
    const held = gate.holdNextPush()
    const child = spawn(process.execPath, [
      fileURLToPath(new URL('../handheld.ts', import.meta.url)),
      JSON.stringify({ url, folder, filmId: film.id, token: office.issue(people.cleo.person) }),
    ])
    const exited = once(child, 'exit')
    await Promise.race([held.reached, exited])
    const onServerWhenKilled = (await server.film(film.id))?.['stock'] ?? null
    child.kill('SIGKILL')
    const signal = String((await exited)[1])
    held.release()
    tell.item('push', [`arrived at the server, which stored it: ${textOf(onServerWhenKilled)} left`])
    tell.item('kill', [`process ${child.pid} got ${signal} before the answer came`])

    const cleo = await openDevice('cleo', { folder, url, office })
    const onDevice = await cleo.db.films.get(film.id)
    const unsettled = (await cleo.db.outbox.list()).length
    tell.item('restart', [
      `Cleo’s file is whole: ${onDevice?.stock} left, ${unsettled} edit without an answer`,
    ])
    await cleo.db.sync.now()
    const unsettledAfterSync = (await cleo.db.outbox.list()).length
    await cleo.db.close()

    await stage.meet()
    const { stock } = await stage.compare(film.id, ['stock'])
    const history = await stage.tellHistory(film.id)
    return {
      signal,
      onServerWhenKilled,
      onDeviceAfterRestart: onDevice?.stock ?? null,
      unsettledAfterRestart: unsettled,
      unsettledAfterSync,
      stock,
      sales: history.filter((entry) => entry.user === 'cleo').length,
    }
  },
}
