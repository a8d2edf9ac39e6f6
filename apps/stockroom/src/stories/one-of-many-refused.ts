import type { Story } from './story.ts'

/** A sale on a whole genre with one typing mistake in it. */
export const oneOfManyRefused: Story = {
  title: 'One edit of many is refused',
  moral: 'One bad edit held up nobody; it waited with its reason to be mended.',
  expected: {
    edits: 36,
    through: 35,
    dead: 1,
    code: 'NOT_AUTHORIZED',
    deadAfterRepair: 0,
    price: ['7.99', '7.99', '7.99'],
  },
  async play(stage) {
    const { ben, server, tell } = stage.parts
    const westerns = await ben.db.query((q) =>
      q.selectFrom('films').selectAll().where('genre', '=', 'Western').orderBy('title'),
    )
    const [typo] = westerns
    if (typo === undefined) throw new Error('the catalogue has no western')
    tell.say(`Ben puts all ${westerns.length} westerns on offer for 7.99, and types 799.00 once.`)

    stage.goOffline()
    for (const film of westerns) {
      await ben.db.films.update(film.id, { price: film === typo ? '799.00' : '7.99' })
    }
    await stage.meet()
    const prices = await Promise.all(westerns.map(async (film) => (await server.film(film.id))?.['price']))
    const through = prices.filter((price) => price === '7.99').length
    const dead = await ben.db.deadLetters.list()
    const [letter] = dead
    if (letter === undefined) throw new Error('nothing was refused')
    tell.item('through', [`${through} of ${westerns.length}`])
    tell.item('refused', [`${typo.title}: ${letter.error.message}`, tell.dim(letter.error.code)])

    tell.gap()
    tell.say('Ben mends the letter and sends it again.')
    await ben.db.deadLetters.editAndRetry(letter.id, { price: '7.99' })
    await stage.meet()
    const { price } = await stage.compare(typo.id, ['price'])
    await stage.tellHistory(typo.id)
    const deadAfterRepair = (await ben.db.deadLetters.list()).length
    return {
      edits: westerns.length,
      through,
      dead: dead.length,
      code: letter.error.code,
      deadAfterRepair,
      price,
    }
  },
}
