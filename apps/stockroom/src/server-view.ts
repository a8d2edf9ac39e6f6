import { isObject, type Values } from '@holdfast/core'

/** What the timeline of a record says of one event; the part of it that the tour tells. */
export interface TimelineEntry {
  readonly op: string
  /** null: another writer than Holdfast. */
  readonly user: string | null
  /** ISO time of the edit. */
  readonly at: string
  readonly before: Values | null
  readonly after: Values | null
  readonly status: string
  readonly code: string | null
  readonly decisions: readonly { readonly field: string; readonly explanation: string }[]
}

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

  /** The film's timeline, newest first. */
  async history(id: string): Promise<readonly TimelineEntry[]> {
    return readTimeline(await (await this.#get(`/records/films/${id}/history`)).json())
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

/** Reads the server's answer about a record's timeline. */
function readTimeline(answer: unknown): readonly TimelineEntry[] {
  const history: unknown = isObject(answer) ? answer['history'] : undefined
  if (!Array.isArray(history)) throw new Error('the server did not answer with a timeline')
  // The server's documented shape; the tour shows it and decides nothing by it.
  return history as readonly TimelineEntry[]
}
