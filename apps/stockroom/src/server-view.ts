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
      if (!Array.isArray(page['records'])) throw new Error(`${response.status}: not a page of records`)
      films.push(...page['records'].map(readObject))
      after = page['next']
    }
    return films
  }

  #get(path: string): Promise<Response> {
    return fetch(new URL(path, this.#url), { headers: { authorization: `Bearer ${this.#token()}` } })
  }
}

function readObject(value: unknown): Values {
  if (!isObject(value)) throw new Error('the server did not answer with an object')
  // What JSON.parse returned for an object has JSON values.
  return value as Values
}
