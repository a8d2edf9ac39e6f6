import { type CancelTimer, SyncError } from '@holdfast/core'

import { systemEnvironment } from '../system-environment.ts'
import type { Announcement, Envelope, LeaderMessage, PageMessage, WorkerMessage } from './tab-messages.ts'

/** How long after a worker broke the next one is made, ms: it may be fetched from a server that is out of reach. */
const againMs = 5_000

/** What a worker tells the tab it is of. */
export type FromWorker = PageMessage | Announcement | Envelope<LeaderMessage>

/** What the worker of a tab is made from. */
export interface OwnWorkerOptions {
  readonly makeWorker: () => Worker
  /** What it is told to stand for the lead with. */
  readonly standing: () => WorkerMessage
  /** Told what it says, but for the end of its lead. */
  readonly onMessage: (message: FromWorker, worker: Worker) => void
  /** Whether it leads, and this tab turns to it. */
  readonly isServing: (worker: Worker) => boolean
  /** Told when it broke before it led; another is made later. */
  readonly onBroken: (error: SyncError) => void
}

/** The worker of a tab, which stands for the lead whenever the tab is awake. Rules: BR-5, BR-7. */
export class OwnWorker {
  readonly #options: OwnWorkerOptions
  #worker: Worker | undefined
  #cancelRetry: CancelTimer = () => undefined
  #resigned: PromiseWithResolvers<void> | undefined

  constructor(options: OwnWorkerOptions) {
    this.#options = options
  }

  get isThere(): boolean {
    return this.#worker !== undefined
  }

  /** Has it stand for the lead, and makes it if there is none. */
  contend(): void {
    this.#cancelRetry()
    try {
      this.#worker ??= this.#make()
    } catch (error) {
      return this.#onBroken(String(error))
    }
    this.#worker.postMessage(this.#options.standing())
  }

  /** Ends it where it stands. */
  stop(): void {
    this.#cancelRetry()
    this.#worker?.terminate()
    this.#worker = undefined
  }

  /** Ends it once it has closed the database, if it had that. */
  async resign(): Promise<void> {
    this.#resigned = Promise.withResolvers()
    this.#worker?.postMessage({ kind: 'resign' } satisfies WorkerMessage)
    if (this.#worker !== undefined) await this.#resigned.promise
    this.stop()
  }

  #make(): Worker {
    const worker = this.#options.makeWorker()
    worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
      if (worker !== this.#worker) return
      if ('kind' in data && data.kind === 'resigned') this.#resigned?.resolve()
      else this.#options.onMessage(data, worker)
    })
    worker.addEventListener('error', (event) => {
      this.#resigned?.resolve()
      // What nobody caught in one that leads does not end it, and what was asked of it is under way.
      if (worker !== this.#worker || this.#options.isServing(worker)) return
      this.#onBroken(event.message || 'its module could not be loaded')
    })
    return worker
  }

  #onBroken(message: string): void {
    this.stop()
    this.#cancelRetry = systemEnvironment.setTimer(() => this.contend(), againMs)
    this.#options.onBroken(new SyncError('STORE_FAILED', `the worker of the database failed: ${message}`))
  }
}
