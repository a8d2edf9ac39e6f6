import { isObject } from '@holdfast/core'

import type { Exchange } from '../network-link.ts'
import type { Story } from './story.ts'

/** A request arrives again, byte for byte, as when an answer is lost and a proxy or a device repeats it. */
export const sameRequestTwice: Story = {
  title: 'The same request arrives three times',
  moral: 'One sale stayed one sale: the repeats got the first answer again.',
  expected: {
    before: 3,
    repeats: [
      { http: 200, status: 'applied', duplicate: true },
      { http: 200, status: 'applied', duplicate: true },
    ],
    stock: [2, 2, 2],
    sales: 1,
  },
  async play(stage) {
    const { ben, url, tell } = stage.parts
    const film = await stage.film('Taxi Driver')
    tell.say(`${film.title} (${film.year}), ${film.stock} discs. Ben sells one; his request comes thrice.`)
    tell.gap()

    await ben.db.films.increment(film.id, { stock: -1 })
    ben.link.takeExchanges()
    await ben.db.sync.now()
    const push = ben.link.takeExchanges().find((exchange) => exchange.path.endsWith('/sync/push'))
    if (push === undefined) throw new Error('Ben pushed nothing')
    tell.item('sent', [`${push.method} ${push.path}, ${push.body.length} bytes → ${push.status}`])

    const repeats = [await sendAgain(push, url), await sendAgain(push, url)]
    for (const { http, status, duplicate } of repeats) {
      tell.item('again', [
        `the same ${push.body.length} bytes → ${http} ${status}${duplicate ? ', known already' : ''}`,
      ])
    }

    await stage.meet()
    const { stock } = await stage.compare(film.id, ['stock'])
    const history = await stage.tellHistory(film.id)
    const sales = history.filter((entry) => entry.user === ben.person.id).length
    return { before: film.stock, repeats, stock, sales }
  },
}

/** Sends the very bytes once more, without any client, and says what the server answered about the one mutation. */
async function sendAgain({ method, path, headers, body }: Exchange, url: string) {
  const response = await fetch(new URL(path, url), { method, headers, body: Uint8Array.from(body) })
  const answer: unknown = await response.json()
  const results: unknown = isObject(answer) ? answer['results'] : undefined
  const result: unknown = Array.isArray(results) ? results[0] : undefined
  const { status, duplicate } = isObject(result) ? result : {}
  return { http: response.status, status: String(status), duplicate: duplicate === true }
}
