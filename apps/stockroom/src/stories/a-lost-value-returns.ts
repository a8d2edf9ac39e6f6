import { textOf } from '../telling/text-of.ts'
import type { Story } from './story.ts'

/** The last write wins, and the other one is kept all the same. */
export const aLostValueReturns: Story = {
  title: 'A value that lost is brought back',
  moral: 'The rule decided at once, and what it decided against was still there.',
  expected: {
    shelf: ['Window', 'Window', 'Window'],
    lost: ['Vault 3'],
    restored: ['Vault 3', 'Vault 3', 'Vault 3'],
  },
  async play(stage) {
    const { ana, ben, tell } = stage.parts
    const film = await stage.film('Titanic')
    tell.say(`${film.title} (${film.year}) stands on shelf ${film.shelf}. The rule for a shelf is "latest".`)

    stage.goOffline()
    await ana.db.films.update(film.id, { shelf: 'Vault 3' })
    await ben.db.films.update(film.id, { shelf: 'Window' })
    await stage.showEdits(film, { ana: 'moves it first', ben: 'moves it a moment later' }, ['shelf'])

    await stage.meet()
    const { shelf } = await stage.compare(film.id, ['shelf'])
    const { lost } = await ana.db.history('films', film.id)
    tell.item(
      'lost',
      lost.map(({ field, value, explanation }) => `${field} ${textOf(value)}   ${tell.dim(explanation)}`),
    )

    tell.gap()
    tell.say('But the disc is in the vault. Ana brings her value back.')
    const [value] = lost
    if (value !== undefined) await ana.db.films.update(film.id, { [value.field]: value.value })
    await stage.meet()
    const restored = await stage.compare(film.id, ['shelf'])
    await stage.tellHistory(film.id)
    return { shelf, lost: lost.map((entry) => entry.value), restored: restored.shelf }
  },
}
