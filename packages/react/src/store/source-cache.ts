import type { Client } from '@holdfast/client'
import type { Environment, Schema } from '@holdfast/core'

import { SharedSource, type StartSource } from './shared-source.ts'

/** The sources of one client by key: whoever asks for the same shares one. */
export class SourceCache {
  readonly #sources = new Map<string, SharedSource<unknown>>()

  /** The source of that key, if there is one. The same key always stands for the same type. */
  peek<T>(key: string): SharedSource<T> | undefined {
    // The key says what is watched, and so which type it has.
    return this.#sources.get(key) as SharedSource<T> | undefined
  }

  /** The source of that key; made when there is none, and then not begun. */
  get<T>(key: string, start: StartSource<T>, env: Pick<Environment, 'setTimer'>): SharedSource<T> {
    const known = this.peek<T>(key)
    if (known !== undefined) return known
    const source: SharedSource<T> = new SharedSource<T>({
      start,
      env,
      onDropped: () => {
        if (this.peek(key) === source) this.#sources.delete(key)
      },
    })
    this.#sources.set(key, source)
    return source
  }
}

const caches = new WeakMap<Client<Schema>, SourceCache>()

/** The sources of a client, for as long as there is the client. */
export function sourceCacheOf(client: Client<Schema>): SourceCache {
  const known = caches.get(client)
  if (known !== undefined) return known
  const cache = new SourceCache()
  caches.set(client, cache)
  return cache
}
