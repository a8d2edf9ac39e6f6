import type { Story } from './story.ts'

/** Two people set one price. No rule can know which is right, so both values wait for a person. */
export const aPersonDecides: Story = {
  title: 'Two people set the same price',
  moral: 'Both prices were kept until a person chose one, and everybody sees it.',
  expected: {
    waiting: ['15.00', '19.00', '15.00'],
    seenBy: [1, 1],
    price: ['19.00', '19.00', '19.00'],
    openConflicts: [0, 0],
  },
  async play(stage) {
    const { ana, ben, tell } = stage.parts
    const film = await stage.film('Casablanca')
    tell.say(`${film.title} (${film.year}) costs ${film.price}. The rule for a price is "ask".`)

    stage.goOffline()
    await ana.db.films.update(film.id, { price: '15.00' })
    await ben.db.films.update(film.id, { price: '19.00' })
    await stage.showEdits(film, { ana: 'puts it on offer', ben: 'follows the new price list' }, ['price'])

    await stage.meet()
    const waiting = await stage.compare(film.id, ['price'])
    const seenBy = [await stage.openConflicts(ana), await stage.openConflicts(ben)]
    const conflict = await stage.tellConflict(ana, film.id)

    tell.gap()
    tell.say('Ana sees it too, rings Ben, and lets his price stand.')
    await ana.db.conflicts.keepMine(conflict.id)
    await stage.meet()
    const settled = await stage.compare(film.id, ['price'])
    await stage.tellHistory(film.id)
    return {
      waiting: waiting.price,
      seenBy,
      price: settled.price,
      openConflicts: [await stage.openConflicts(ana), await stage.openConflicts(ben)],
    }
  },
}
