import type { Story } from './story.ts'

/** Two people add to and take from one set. */
export const setsUnite: Story = {
  title: 'Two people tag the same film',
  moral: 'Every addition and every removal counts; nobody sent the whole list.',
  expected: {
    before: ['1990s', 'action', 'science fiction'],
    tags: Array.from({ length: 3 }, () => ['1990s', 'cult', 'cyberpunk', 'science fiction']),
  },
  async play(stage) {
    const { ana, ben, tell } = stage.parts
    const film = await stage.film('The Matrix')
    tell.say(`${film.title} (${film.year}) has the tags ${film.tags.join(', ')}.`)

    stage.goOffline()
    await ana.db.films.add(film.id, { tags: ['cult'] })
    await ana.db.films.remove(film.id, { tags: ['action'] })
    await ben.db.films.add(film.id, { tags: ['cyberpunk'] })
    await stage.showEdits(film, { ana: 'adds "cult", removes "action"', ben: 'adds "cyberpunk"' }, ['tags'])

    await stage.meet()
    const { tags } = await stage.compare(film.id, ['tags'])
    await stage.tellHistory(film.id)
    return { before: film.tags, tags }
  },
}
