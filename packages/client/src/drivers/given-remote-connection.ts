import type { DriverAnswer, DriverCall } from './given-driver-worker.ts'
import { SyncError } from '@holdfast/core'
import type { SqliteConnection } from './sqlite-driver.ts'

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** A connection that lives in a worker of its own, as a page sees it. */
export class RemoteConnection {
  readonly #worker: Worker = new Worker(new URL('./given-driver-worker.ts', import.meta.url), {
    type: 'module',
  })
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0

  /** Opens storage that the worker names. */
  static async open(storage: string): Promise<SqliteConnection> {
    const remote = new RemoteConnection(() => undefined)
    try {
      // The worker answers with the capabilities of what it opened.
      const capabilities = (await remote.#call('open', storage)) as SqliteConnection['capabilities']
      return remote.#asConnection(capabilities)
    } catch (error) {
      remote.#worker.terminate()
      throw error
    }
  }

  /** Has the worker write number after number, and ends it once it told the given one. Gives the last it told. */
  static async growUntilKilled(storage: string, count: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>()
    const remote = new RemoteConnection((told) => {
      if (told < count) return
      remote.#worker.terminate()
      resolve(told)
    })
    await remote.#call('open', storage)
    remote.#call('grow', '').catch(() => undefined)
    return promise
  }

  private constructor(onTold: (told: number) => void) {
    this.#worker.addEventListener('message', ({ data }: MessageEvent<DriverAnswer>) => {
      if (data.told !== undefined) return onTold(data.told)
      const waiting = this.#waiting.get(data.id)
      this.#waiting.delete(data.id)
      if (data.error === undefined) waiting?.resolve(data.value)
      // The worker tells the code of a SyncError.
      else waiting?.reject(new SyncError(data.error.code as 'STORE_FAILED', data.error.message))
    })
    this.#worker.addEventListener('error', (event) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(event.message))
    })
  }

  #asConnection(capabilities: SqliteConnection['capabilities']): SqliteConnection {
    // Each method of the worker answers with what the connection's own gives.
    const call = (
      method: DriverCall['method'],
      text: string,
      params?: DriverCall['params'],
    ): Promise<never> => this.#call(method, text, params) as Promise<never>
    return {
      capabilities,
      all: (sql, params) => call('all', sql, params),
      run: (sql, params) => call('run', sql, params),
      exec: (sql) => call('exec', sql),
      describe: (sql) => call('describe', sql),
      close: () => call('close', ''),
    }
  }

  #call(method: DriverCall['method'], text: string, params?: DriverCall['params']): Promise<unknown> {
    const id = this.#calls++
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiting.set(id, { resolve, reject })
    this.#worker.postMessage({ id, method, text, ...(params && { params }) } satisfies DriverCall)
    return promise
  }
}
