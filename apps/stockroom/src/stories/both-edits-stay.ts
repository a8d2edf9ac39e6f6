import type { Story } from './story.ts'

/** Two people edit different fields, and different paragraphs, of one record. */
export const bothEditsStay: Story = {
  title: 'Two people edit different parts of one record',
  moral: 'Only changed fields and paragraphs travel, so both edits stay.',
  expected: {
    title: ['Blade Runner: The Final Cut', 'Blade Runner: The Final Cut', 'Blade Runner: The Final Cut'],
    description: [
      'Los Angeles, 2019. It rains.',
      'Los Angeles, 2019. It rains.',
      'Los Angeles, 2019. It rains.',
    ],
    paragraphs: ['Distributor: Warner Bros. (box set)', 'Certificate: R, checked in March'],
    openConflicts: 0,
  },
  async play(stage) {
    const { ana, ben, tell } = stage.parts
    const film = await stage.film('Blade Runner')
    tell.say(`${film.title} (${film.year}). Two fields change, and two paragraphs of the notes.`)

    stage.goOffline()
    await ana.db.films.update(film.id, {
      title: 'Blade Runner: The Final Cut',
      notes: film.notes.replace('Bros.', 'Bros. (box set)'),
    })
    await ben.db.films.update(film.id, {
      description: 'Los Angeles, 2019. It rains.',
      notes: film.notes.replace('Certificate: R', 'Certificate: R, checked in March'),
    })
    await stage.showEdits(film, { ana: 'edits title and notes', ben: 'edits description and notes' }, [
      'title',
      'description',
      'notes',
    ])

    await stage.meet()
    const { title, description } = await stage.compare(film.id, ['title', 'description', 'notes'])
    await stage.tellHistory(film.id)
    return {
      title,
      description,
      paragraphs: (await ana.db.films.get(film.id))?.notes.split('\n\n') ?? [],
      openConflicts: (await ana.db.conflicts.list()).length,
    }
  },
}
