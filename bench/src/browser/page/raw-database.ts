/** What the page asks of the worker that drives SQLite by hand. */
export type RawCall =
  | { readonly kind: 'open'; readonly name: string }
  | { readonly kind: 'insert'; readonly row: readonly (string | number)[] }
  | { readonly kind: 'insertAll'; readonly rows: readonly (readonly (string | number)[])[] }
  /** With each row an entry of an outbox: its id, its record and what was written. */
  | { readonly kind: 'queueAll'; readonly rows: readonly (readonly (string | number)[])[] }
  | { readonly kind: 'all'; readonly sql: string }

/** A database in a worker of its own, one message for each call. */
export class RawDatabase {
  readonly #worker = new Worker(new URL('./raw-worker.ts', import.meta.url), { type: 'module' })
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #calls = 0

  static async open(name: string): Promise<RawDatabase> {
    const database = new RawDatabase()
    await database.call({ kind: 'open', name })
    return database
  }

  private constructor() {
    this.#worker.addEventListener('message', ({ data }: MessageEvent<Record<string, unknown>>) => {
      const waiting = this.#waiting.get(Number(data['id']))
      this.#waiting.delete(Number(data['id']))
      if ('error' in data) waiting?.reject(new Error(String(data['error'])))
      else waiting?.resolve(data['value'])
    })
  }

  call(call: RawCall): Promise<unknown> {
    const id = this.#calls++
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(id, waiting)
    this.#worker.postMessage({ id, call })
    return waiting.promise
  }

  close(): void {
    this.#worker.terminate()
  }
}
