import { formatBytes } from '../telling/layout.ts'
import type { Story } from './story.ts'

const draft =
  'A writer, his wife and his gifted son look after an empty hotel for the winter. The snow closes the road. The ' +
  'typewriter is never silent, and every page says the same. Ask at the counter for the long version.'

/** A text written offline, a key at a time. */
export const aDraftFolds: Story = {
  title: 'Two hundred edits to one draft',
  moral: 'Each edit was safe on disk at once; one small request carried them all.',
  expected: {
    edits: 200,
    requests: 1,
    isTenTimesSmaller: true,
    description: [draft, draft, draft],
    entries: 1,
  },
  async play(stage) {
    const { ana, tell } = stage.parts
    const film = await stage.film('The Shining')
    tell.say(`${film.title} (${film.year}). Ana types its description offline, each key an edit.`)

    stage.goOffline()
    for (const length of keystrokes(draft, 200)) {
      await ana.db.films.update(film.id, { description: draft.slice(0, length) })
    }
    const entries = await ana.db.outbox.list()
    const written = entries.reduce((sum, entry) => sum + Buffer.byteLength(JSON.stringify(entry.payload)), 0)

    ana.link.setAirplane(false)
    ana.link.takeExchanges()
    await ana.db.sync.now()
    const pushes = ana.link.takeExchanges().filter((exchange) => exchange.path.endsWith('/sync/push'))
    const sent = pushes.reduce((sum, push) => sum + push.sentBytes, 0)
    tell.gap()
    tell.item('outbox', [`${entries.length} edits, ${formatBytes(written)} of changes`])
    tell.item('wire', [
      `${pushes.length} request, ${formatBytes(sent)}: one byte sent for every ${Math.round(written / sent)}`,
    ])

    await stage.meet()
    const { description } = await stage.compare(film.id, ['description'])
    const history = await stage.tellHistory(film.id)
    return {
      edits: entries.length,
      requests: pushes.length,
      isTenTimesSmaller: sent * 10 < written,
      description,
      entries: history.filter((entry) => entry.user === ana.person.id).length,
    }
  },
}

/** `count` lengths that grow to the whole text. */
function keystrokes(text: string, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => Math.ceil((text.length * (index + 1)) / count))
}
