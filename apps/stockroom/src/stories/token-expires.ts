import type { Story } from './story.ts'

/** A token ends between two requests of one sync. */
export const tokenExpires: Story = {
  title: 'The token ends in the middle of a sync',
  moral: 'The sync got a new token and went on. Nothing was lost, and nothing was sent twice.',
  expected: { edits: 120, refusals: 1, signIns: 1, unsettled: 0, sold: 120 },
  async play(stage) {
    const { ana, ben, tell } = stage.parts
    const films = await ana.db.query((q) => q.selectFrom('films').selectAll().orderBy('id').limit(120))
    const before = films.reduce((sum, film) => sum + film.stock, 0)
    tell.say(`A school buys one disc each of ${films.length} films. Ana books them out offline.`)

    stage.goOffline()
    for (const film of films) await ana.db.films.increment(film.id, { stock: -1 })
    stage.parts.office.endAfter(ana.person, 2)
    const signInsBefore = ana.signIns.count
    tell.say('Back online, her token ends after two requests.')

    ana.link.setAirplane(false)
    ana.link.takeExchanges()
    await ana.db.sync.now()
    const exchanges = ana.link.takeExchanges()
    for (const { method, path, status } of exchanges) {
      const says = status === 401 ? ' the token has ended, Ana’s app fetches a new one' : ''
      tell.item('', [`${method} ${path.split('?')[0]} → ${status}${tell.dim(says)}`])
    }

    await stage.meet()
    const ids = films.map((film) => film.id)
    const after = await ben.db.query((q) => q.selectFrom('films').selectAll().where('id', 'in', ids))
    return {
      edits: films.length,
      refusals: exchanges.filter((exchange) => exchange.status === 401).length,
      signIns: ana.signIns.count - signInsBefore,
      unsettled: (await ana.db.outbox.list()).length,
      sold: before - after.reduce((sum, film) => sum + film.stock, 0),
    }
  },
}
