import { isObject, type Values } from '@holdfast/core'

/** Looks at the server's rows the way any HTTP client can, with a bearer token and no device. */
export class ServerView {
  readonly #url: string
  readonly #token: () => string

  constructor(url: string, token: () => string) {
    this.#url = url
    this.#token = token
  }

  /** The row as the server has it; null when it is not there. */
  async film(id: string): Promise<Values | null> {
    const response = await this.#get(`/records/films/${id}`)
    return response.status === 404 ? null : readObject(await response.json())
  }

  /** Every row, page by page, in the order of their ids. */
  async allFilms(): Promise<readonly Values[]> {
    const films: Values[] = []
    let after: unknown = ''
    while (typeof after === 'string') {
      const query = after === '' ? '' : `&after=${encodeURIComponent(after)}`
      const response = await this.#get(`/records/films?limit=1000${query}`)
      const page = readObject(await response.json())
      films.push(...listOf(page, 'records'))
      after = page['next']
    }
    return films
  }

  #get(path: string): Promise<Response> {
    return fetch(new URL(path, this.#url), { headers: { authorization: `Bearer ${this.#token()}` } })
  }
}

/** A list of objects that a server answered with. */
export function listOf(message: Values, name: string): readonly Values[] {
  const list: unknown = message[name]
  if (!Array.isArray(list)) throw new Error(`the server did not answer with ${name}`)
  return list.map(readObject)
}

/** A text in what a server answered with. */
export function textIn(message: Values, name: string): string {
  const text = message[name]
  if (typeof text !== 'string') throw new Error(`the server did not answer with ${name}`)
  return text
}

/** An object that a server answered with. */
export function readObject(value: unknown): Values {
  if (!isObject(value)) throw new Error('the server did not answer with an object')
  // What JSON.parse returned for an object has JSON values.
  return value as Values
}
