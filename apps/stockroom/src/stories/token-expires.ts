import { formatBytes, formatCount } from '../telling/layout.ts'
import type { Story } from './story.ts'

/** A token ends between two requests of one sync. */
export const tokenExpires: Story = {
  title: 'The token ends in the middle of a sync',
  moral: 'A new token was fetched; nothing was lost and nothing counted twice.',
  expected: { edits: 3_200, refusals: 1, signIns: 1, unsettled: 0, sold: 3_200 },
  async play(stage) {
    const { ana, ben, office, tell } = stage.parts
    const stockOf = async (db: typeof ben.db): Promise<readonly number[]> =>
      (await db.query((q) => q.selectFrom('films').select('stock').orderBy('id'))).map((film) => film.stock)
    const before = sum(await stockOf(ben.db))
    const films = await ana.db.query((q) => q.selectFrom('films').select('id').orderBy('id'))
    tell.say(`A new branch gets a disc of each film: offline, Ana books out ${formatCount(films.length)}.`)
    tell.say('When she is back, her token is good for two more requests.')

    stage.goOffline()
    await Promise.all(films.map(({ id }) => ana.db.films.increment(id, { stock: -1 })))
    office.endAfter(ana.person, 2)
    const signInsBefore = ana.signIns.count

    ana.link.setAirplane(false)
    ana.link.takeExchanges()
    await ana.db.sync.now()
    const exchanges = ana.link.takeExchanges()
    tell.gap()
    for (const { method, path, status, sentBytes } of exchanges) {
      const says = status === 401 ? '  the token has ended: a new one' : ''
      tell.item(String(status), [
        `${method} ${path.split('?')[0]}  ${formatBytes(sentBytes)}${tell.dim(says)}`,
      ])
    }

    await stage.meet()
    return {
      edits: films.length,
      refusals: exchanges.filter((exchange) => exchange.status === 401).length,
      signIns: ana.signIns.count - signInsBefore,
      unsettled: (await ana.db.outbox.list()).length,
      sold: before - sum(await stockOf(ben.db)),
    }
  },
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
