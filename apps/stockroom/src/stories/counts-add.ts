import type { Story } from './story.ts'

/** Two workers change one counter without knowing of each other. */
export const countsAdd: Story = {
  title: 'Two people count the same shelf',
  moral: 'A count is changed, not overwritten: 10 − 2 + 5 is 13, everywhere.',
  expected: { before: 10, stock: [13, 13, 13] },
  async play(stage) {
    const { ana, ben, tell } = stage.parts
    const film = await stage.film('The Sting')
    tell.say(`${film.title} (${film.year}), ${film.stock} discs in stock. Both devices are in airplane mode.`)

    stage.goOffline()
    await ana.db.films.increment(film.id, { stock: -2 })
    await ben.db.films.increment(film.id, { stock: 5 })
    await stage.showEdits(film, { ana: 'sells 2', ben: 'finds 5 more on a trolley' }, ['stock'])

    await stage.meet()
    const { stock } = await stage.compare(film.id, ['stock'])
    await stage.tellHistory(film.id)
    return { before: film.stock, stock }
  },
}
