import type { Story } from './story.ts'

/** One person deletes what another one improves. */
export const deleteMeetsEdit: Story = {
  title: 'A deletion meets an edit',
  moral: 'The edit was not buried with the film: a person was asked.',
  expected: {
    kind: 'delete',
    waiting: [null, 'The one with the water-skier.', null],
    description: [
      'The one with the water-skier.',
      'The one with the water-skier.',
      'The one with the water-skier.',
    ],
  },
  async play(stage) {
    const { ana, ben, tell } = stage.parts
    const film = await stage.film('Jaws 2')
    tell.say(`${film.title} (${film.year}): Ana throws it out, Ben writes a better description for it.`)

    stage.goOffline()
    await ana.db.films.delete(film.id)
    await ben.db.films.update(film.id, { description: 'The one with the water-skier.' })
    await stage.showEdits(film, { ana: 'deletes it', ben: 'edits it' }, ['description'])

    await stage.meet()
    const waiting = await stage.compare(film.id, ['description'])
    const conflict = await stage.tellConflict(ben, film.id)
    tell.say('Ben keeps it. The film comes back with all its other values.')
    await ben.db.conflicts.keepMine(conflict.id)
    await stage.meet()
    const settled = await stage.compare(film.id, ['description'])
    await stage.tellHistory(film.id)
    return { kind: conflict.kind, waiting: waiting.description, description: settled.description }
  },
}
