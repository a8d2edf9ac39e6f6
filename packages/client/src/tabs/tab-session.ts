import type { Schema } from '@holdfast/core'

import type { ClientParts } from '../client-parts.ts'
import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { StoredQuery } from '../live/run-query.ts'
import { createDeadLetters } from '../outbox/dead-letters.ts'
import { createOutboxApi } from '../outbox/outbox-api.ts'
import type { SyncStatus } from '../status/sync-status.ts'
import { performCall } from './perform-call.ts'
import type { RecordedCalls } from './recorded-calls.ts'
import { RemoteTransaction } from './remote-transaction.ts'
import { diffRows } from './rows-diff.ts'
import type {
  CallMessage,
  LeaderMessage,
  PageFacts,
  TabIntroduction,
  TabMessage,
  TokenMessage,
  TokenReason,
  Topic,
} from './tab-messages.ts'
import { errorToWire, type WireError, wireToError } from './wire-error.ts'

/** What a session of a tab is made from. */
export interface TabSessionOptions {
  readonly tab: TabIntroduction
  readonly parts: ClientParts<Schema>
  readonly calls: RecordedCalls
  readonly post: (messages: readonly LeaderMessage[]) => void
  /** What the browser adds to the status. */
  readonly withStorage: (status: SyncStatus) => SyncStatus
  /** Told when the tab paused or resumed syncing. */
  readonly onPause: (by: 'user' | 'policy' | null) => void
  /** Told when the tab came to the front, went, or learnt something of the machine. */
  readonly onPage: (page: PageFacts) => void
}

/** The leader's side of one tab: its calls, its open transactions, and what it follows. Rules: BR-4 to BR-8. */
export class TabSession {
  readonly #options: TabSessionOptions
  readonly #transactions = new Map<number, RemoteTransaction>()
  readonly #following = new Map<number, () => void>()
  readonly #asked = new Map<number, PromiseWithResolvers<TokenMessage>>()
  #outgoing: LeaderMessage[] = []
  #questions = 0
  #isOver = false
  /** As the tab last said. */
  page: PageFacts

  constructor(options: TabSessionOptions) {
    this.#options = options
    this.page = options.tab.page
  }

  get tab(): TabIntroduction {
    return this.#options.tab
  }

  /** Takes in a message of the tab. */
  take(message: TabMessage): void {
    switch (message.kind) {
      case 'call':
        return void this.#call(message)
      case 'step':
        return this.#transactions.get(message.call)?.step(message.step, message.what)
      case 'finish':
        return this.#transactions.get(message.call)?.finish(message.isDone)
      case 'watch':
        return this.#watch(message.id, message.query)
      case 'follow':
        return this.#follow(message.id, message.topic)
      case 'stop':
        return this.#stop(message.id)
      case 'page':
        this.page = message.page
        return this.#options.onPage(message.page)
      case 'token':
        return this.#answer(message.id, (asked) => asked.resolve(message))
      case 'tokenFailed':
        return this.#answer(message.id, (asked) => asked.reject(wireToError(message.error)))
      case 'bye':
    }
  }

  /** Sends a message with the others of this turn. */
  tell(message: LeaderMessage): void {
    if (this.#isOver) return
    this.#outgoing.push(message)
    if (this.#outgoing.length === 1) void Promise.resolve().then(() => this.#flush())
  }

  /** Asks the tab for a token. Rejects when the tab goes. */
  ask(reason: TokenReason): Promise<TokenMessage> {
    const id = this.#questions++
    const asked = Promise.withResolvers<TokenMessage>()
    this.#asked.set(id, asked)
    this.tell({ kind: 'ask', id, reason })
    return asked.promise
  }

  /** The tab is gone, or the leader is: what is open is undone, and nothing is sent any more. */
  end(): void {
    this.#isOver = true
    for (const transaction of this.#transactions.values()) transaction.finish(false)
    for (const stop of this.#following.values()) stop()
    for (const asked of this.#asked.values()) asked.reject(new Error('the tab is gone'))
    this.#following.clear()
    this.#asked.clear()
  }

  async #call(message: CallMessage): Promise<void> {
    const { call, below, isRepeat, path } = message
    const { parts, calls, tab, onPause } = this.#options
    if (path[0] === 'sync' && path[1] === 'pause') onPause(message.args[0] === 'policy' ? 'policy' : 'user')
    if (path[0] === 'sync' && path[1] === 'resume') onPause(null)
    try {
      const runner = calls.runner({ tab: tab.id, call, isRepeat }, below)
      const value = await (path[0] === 'transaction'
        ? this.#transact(message, runner)
        : performCall(parts, runner, message))
      const isStatus = path[0] === 'status' && path[1] === 'get'
      // What `status.get` gives is a status.
      this.tell({
        kind: 'result',
        call,
        value: isStatus ? this.#options.withStorage(value as SyncStatus) : value,
      })
    } catch (error) {
      this.tell({ kind: 'error', call, error: errorToWire(error) })
    }
  }

  async #transact(message: CallMessage, runner: ReturnType<RecordedCalls['runner']>): Promise<void> {
    const { call, trace } = message
    const transaction = new RemoteTransaction(call, (told) => this.tell(told))
    this.#transactions.set(call, transaction)
    try {
      await transaction.run(this.#options.parts, runner, trace)
    } finally {
      this.#transactions.delete(call)
    }
  }

  #watch(id: number, query: StoredQuery): void {
    let told: readonly SqlRow[] | undefined
    const stop = this.#options.parts.live.watchStored(query, {
      onRows: (rows, columns) => {
        const first = told === undefined ? { columns } : {}
        this.tell({ kind: 'rows', id, diff: diffRows(told ?? [], rows), ...first })
        told = rows
      },
      onError: (error) => this.tell({ kind: 'watchError', id, error: errorToWire(error) }),
    })
    this.#following.set(id, stop)
  }

  #follow(id: number, topic: Topic): void {
    this.#following.set(
      id,
      this.#begin(topic, (value) => this.tell({ kind: 'told', id, value })),
    )
  }

  #begin(topic: Topic, tell: (value: unknown) => void): () => void {
    const { syncParts, database, writer } = this.#options.parts
    switch (topic.of) {
      case 'status':
        return syncParts.status.subscribe((status) => tell(this.#options.withStorage(status)))
      case 'conflicts':
        return syncParts.conflicts.watch(tell, topic.query)
      case 'outbox':
        return createOutboxApi(database).watch(tell, topic.query)
      case 'deadLetters':
        return createDeadLetters(database, writer.context).watch(tell)
      case 'uploads':
        return syncParts.attachments.watch(tell)
    }
  }

  #stop(id: number): void {
    this.#following.get(id)?.()
    this.#following.delete(id)
  }

  #answer(id: number, settle: (asked: PromiseWithResolvers<TokenMessage>) => void): void {
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    if (asked !== undefined) settle(asked)
  }

  #flush(): void {
    const messages = this.#outgoing
    this.#outgoing = []
    if (this.#isOver) return
    try {
      this.#options.post(messages)
    } catch {
      // One of them cannot cross: the others shall not suffer for it.
      for (const message of messages) this.#postAlone(message)
    }
  }

  #postAlone(message: LeaderMessage): void {
    try {
      this.#options.post([message])
    } catch (error) {
      const wire: WireError = errorToWire(error)
      if (message.kind === 'result') this.#options.post([{ kind: 'error', call: message.call, error: wire }])
    }
  }
}
