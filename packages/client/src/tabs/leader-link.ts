import { newUuid, SyncError } from '@holdfast/core'

import { callListener } from '../live/call-listener.ts'
import { systemEnvironment } from '../system-environment.ts'
import type { Identity } from '../sync-context.ts'
import type {
  Announcement,
  CallMessage,
  Envelope,
  KnownPause,
  LeaderMessage,
  PageFacts,
  Step,
  TabMessage,
  TokenReason,
  WelcomeMessage,
} from './tab-messages.ts'
import { tabProtocol } from './tab-messages.ts'
import type { LeaderLinkOptions } from './leader-link-options.ts'
import { channelRoute, leaderGone, type Route, workerRoute } from './leader-route.ts'
import { copied, type Following, mayWrite, type PendingCall } from './pending-call.ts'
import { type FromWorker, OwnWorker } from './own-worker.ts'
import { PendingSteps } from './pending-steps.ts'
import { commonChannel, tabChannel, tabLock } from './tab-names.ts'
import { errorToWire, wireToError } from './wire-error.ts'

/** How long a tab that cannot open the database waits for another that can, ms. */
const otherLeaderMs = 2_000

/**
 * A tab's connection to whoever leads. Calls that have no answer when the leader goes are offered to the next one, and
 * what is followed is asked for again, so that nothing of it is seen from outside. Rules: BR-4 to BR-10.
 */
export class LeaderLink {
  readonly tab: string = newUuid(systemEnvironment)
  readonly #options: LeaderLinkOptions
  readonly #common: BroadcastChannel
  readonly #calls = new Map<number, PendingCall>()
  /** Those of them that may write; the others may wait for ever, and nothing is recorded for them. */
  readonly #writes = new Set<number>()
  readonly #steps = new PendingSteps()
  readonly #following = new Map<number, Following>()
  readonly #welcome: PromiseWithResolvers<void> = Promise.withResolvers()
  readonly #life: PromiseWithResolvers<void> = Promise.withResolvers()
  readonly #own: OwnWorker
  #route: Route | undefined
  /** The own worker, when that is whom the tab has turned to. */
  #serving: Worker | undefined
  #isWelcome = false
  #outgoing: TabMessage[] = []
  #numbers = 0
  #identity: Identity | undefined
  #pausedBy: KnownPause
  #page: PageFacts = { isVisible: true, conditions: {} }
  #failure: Error | undefined
  #closing: Promise<void> | undefined
  /** What was asked for before the close has its answer. */
  #isDone = false

  constructor(options: LeaderLinkOptions) {
    this.#options = options
    this.#common = new BroadcastChannel(commonChannel(options.host.name))
    this.#common.addEventListener('message', ({ data }: MessageEvent<Announcement>) => this.#hear(data))
    this.#own = new OwnWorker({
      makeWorker: options.makeWorker,
      standing: () => ({
        kind: 'contend',
        options: { ...options.host, tab: this.tab },
        known: options.known(),
      }),
      onMessage: (message, worker) => this.#hearWorker(message, worker),
      isServing: (worker) => worker === this.#serving,
      onBroken: (error) => this.#failUnlessLed(error),
    })
  }

  /** Resolves when a leader has taken the tab in. Errors: those of opening the database. */
  async open(): Promise<void> {
    const { name } = this.#options.host
    const held = Promise.withResolvers<void>()
    void navigator.locks.request(tabLock(name, this.tab), () => {
      held.resolve()
      return this.#life.promise
    })
    // The leader learns of the end of a tab by its lock, so the lock comes first.
    await held.promise
    this.#own.contend()
    this.#askWho()
    await this.#welcome.promise
  }

  /** Whom the database belongs to, as last heard. */
  get identity(): Identity {
    if (this.#identity === undefined) throw new SyncError('CLIENT_CLOSED', 'the client is not open yet')
    return this.#identity
  }

  /** Says what the page knows of itself, to this leader and to those to come. */
  tellPage(page: PageFacts): void {
    this.#page = page
    if (this.#isWelcome) this.#send({ kind: 'page', page })
  }

  /** Calls a member of the client. `onReady`: what to do whenever the leader has opened a transaction for it. */
  async call(
    path: readonly string[],
    given: readonly unknown[],
    { trace = null, onReady }: { trace?: string | null; onReady?: (call: number) => void } = {},
  ): Promise<unknown> {
    if (this.#closing !== undefined) throw new SyncError('CLIENT_CLOSED', 'the client was closed')
    const args = copied(given)
    const number = this.#numbers++
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const ready = onReady && ((): void => onReady(number))
    const fresh = { isRepeat: false, isOpen: false }
    this.#calls.set(number, { path, args, trace, ...fresh, promise, resolve, reject, onReady: ready })
    if (mayWrite(path)) this.#writes.add(number)
    if (this.#isWelcome) this.#offer(number)
    else if (this.#failure !== undefined) this.#settle(number, (call) => call.reject(this.#failure))
    return promise
  }

  /** Whether a transaction is open where its function was told so, and not at another leader since. */
  isOpen(call: number): boolean {
    return this.#calls.get(call)?.isOpen === true
  }

  /** One step of a transaction. */
  async step(call: number, step: number, { path, args }: Step): Promise<unknown> {
    if (!this.isOpen(call)) throw leaderGone()
    this.#send({ kind: 'step', call, step, what: { path, args: copied(args) } })
    return this.#steps.add(call, step)
  }

  /** The function of a transaction is through. */
  finish(call: number, isDone: boolean): void {
    this.#send({ kind: 'finish', call, isDone })
  }

  /** Follows something until the returned function is called. */
  follow(following: Following): () => void {
    const id = this.#numbers++
    this.#following.set(id, following)
    if (this.#isWelcome) this.#send(following.ask(id))
    return () => {
      if (this.#following.delete(id) && this.#isWelcome) this.#send({ kind: 'stop', id })
    }
  }

  /** The page is about to be frozen: its worker must not keep anybody waiting, and cannot be trusted to wake in time. */
  suspend(): void {
    if (this.#isDone) return
    this.#own.stop()
    this.#leave()
  }

  /** The page goes on. */
  resume(): void {
    if (this.#isDone || this.#own.isThere) return
    this.#own.contend()
    this.#askWho()
  }

  /** Gives the database up for good; whoever waits for something, now or later, learns why. */
  abandon(error: Error): void {
    this.#isDone = true
    this.#own.stop()
    this.#leave()
    this.#fail(error)
  }

  /**
   * Leaves, after what was asked for before has its answer; the database closes if it was open here, and another tab
   * goes on with it.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#failure !== undefined && !this.#isWelcome) this.#fail(this.#failure)
    // When the leader goes meanwhile, the answers come from the next one.
    await Promise.allSettled(this.#unfinished())
    this.#isDone = true
    this.#send({ kind: 'bye' })
    this.#flush()
    for (const { reject } of this.#calls.values())
      reject(new SyncError('CLIENT_CLOSED', 'the client was closed'))
    this.#calls.clear()
    this.#writes.clear()
    this.#following.clear()
    this.#common.close()
    await this.#own.resign()
    this.#route?.close()
    this.#route = undefined
    this.#life.resolve()
  }

  /** Calls that end by themselves. */
  #unfinished(): Promise<unknown>[] {
    return [...this.#calls.values()].flatMap(({ path, promise }) => (mayWrite(path) ? [promise] : []))
  }

  #hearWorker(message: FromWorker, worker: Worker): void {
    if ('messages' in message) return this.#take(message)
    if (message.kind === 'leading') return this.#attach(message.leader, worker)
    if (message.kind === 'failed') return this.#onFailed(wireToError(message.error))
  }

  /** The own worker had the lead and could not open the database, so whoever led before is gone. */
  #onFailed(error: Error): void {
    this.#leave()
    this.#askWho()
    this.#failUnlessLed(error)
  }

  /** Another tab may be able to open the database, and is given a moment. */
  #failUnlessLed(error: Error): void {
    systemEnvironment.setTimer(() => {
      if (this.#route === undefined) this.#fail(error, true)
    }, otherLeaderMs)
  }

  #askWho(): void {
    if (!this.#isDone) this.#common.postMessage({ kind: 'who', protocol: tabProtocol } satisfies Announcement)
  }

  #hear(message: Announcement): void {
    // The own worker speaks for itself.
    if (message.kind !== 'leading' || message.tab === this.tab) return
    if (message.protocol <= tabProtocol) return this.#attach(message.leader, undefined)
    this.#leave()
    this.#fail(new SyncError('STORE_NEWER', 'another tab runs a newer version of the app'))
  }

  /** Turns to a leader, through the own worker if it is that. */
  #attach(leader: string, worker: Worker | undefined): void {
    if (this.#isDone || this.#route?.leader === leader) return
    this.#leave()
    this.#serving = worker
    this.#route =
      worker === undefined
        ? channelRoute(leader, tabChannel(this.#options.host.name, this.tab), (envelope) =>
            this.#take(envelope),
          )
        : workerRoute(leader, worker)
    const { host, schemaVersion } = this.#options
    const { account, server, hasAuth, hasSealedTokens } = host
    const said = { account, server, hasAuth, hasSealedTokens, page: this.#page, pausedBy: this.#pausedBy }
    const hello: Announcement = { kind: 'hello', leader, tab: { id: this.tab, schemaVersion, ...said } }
    ;(worker ?? this.#common).postMessage(hello)
  }

  #leave(): void {
    this.#route?.close()
    this.#route = undefined
    this.#serving = undefined
    this.#outgoing = []
    this.#steps.rejectAll(leaderGone())
    for (const call of this.#calls.values())
      Object.assign(call, { isRepeat: call.isRepeat || this.#isWelcome, isOpen: false })
    this.#isWelcome = false
    for (const following of this.#following.values()) following.onRestart?.()
  }

  #take({ leader, messages }: Envelope<LeaderMessage>): void {
    if (leader !== this.#route?.leader) return
    // What the app does with one of them must not cost the others.
    for (const message of messages) callListener((each) => this.#takeOne(each), message)
  }

  #takeOne(message: LeaderMessage): void {
    switch (message.kind) {
      case 'welcome':
        return this.#onWelcome(message)
      case 'refused':
        return this.#fail(wireToError(message.error))
      case 'result':
        return this.#settle(message.call, (call) => call.resolve(message.value))
      case 'error':
        return this.#settle(message.call, (call) => call.reject(wireToError(message.error)))
      case 'ready':
        return this.#onReady(message.call)
      case 'stepResult':
        return this.#steps.settle(message, (step) => step.resolve(message.value))
      case 'stepError':
        return this.#steps.settle(message, (step) => step.reject(wireToError(message.error)))
      case 'rows':
        return this.#following.get(message.id)?.onRows?.(message)
      case 'told':
        return this.#following.get(message.id)?.onTold?.(message.value)
      case 'watchError':
        return this.#following.get(message.id)?.onError?.(wireToError(message.error))
      case 'ask':
        return void this.#giveToken(message.id, message.reason)
      case 'identity':
        this.#identity = message.identity
        return
      case 'known':
        return this.#options.onKnown(message.known)
      case 'sealed':
        return this.#options.onSealed()
      case 'paused':
        this.#pausedBy = message.by
    }
  }

  #onWelcome({ identity, pausedBy }: WelcomeMessage): void {
    this.#identity = identity
    if (pausedBy !== undefined) this.#pausedBy = pausedBy
    this.#failure = undefined
    this.#isWelcome = true
    for (const [id, following] of this.#following) this.#send(following.ask(id))
    for (const number of this.#calls.keys()) this.#offer(number)
    this.#welcome.resolve()
  }

  #onReady(number: number): void {
    const call = this.#calls.get(number)
    if (call === undefined) return
    call.isOpen = true
    call.onReady?.()
  }

  #offer(number: number): void {
    const call = this.#calls.get(number)
    if (call === undefined) return
    const { path, args, trace, isRepeat } = call
    // Numbers only grow, and a set keeps the order in which its members came.
    const below = this.#writes.values().next().value ?? number
    this.#send({ kind: 'call', call: number, below, isRepeat, path, args, trace } satisfies CallMessage)
  }

  #settle(number: number, settle: (call: PendingCall) => void): void {
    const call = this.#calls.get(number)
    this.#calls.delete(number)
    this.#writes.delete(number)
    if (call !== undefined) settle(call)
  }

  async #giveToken(id: number, reason: TokenReason): Promise<void> {
    try {
      this.#send({ kind: 'token', id, ...(await this.#options.token(reason)) })
    } catch (error) {
      this.#send({ kind: 'tokenFailed', id, error: errorToWire(error) })
    }
  }

  /**
   * The database cannot be opened here. What waits learns why, but for what an earlier leader may have stored, as long as
   * there may be another.
   */
  #fail(error: Error, mayBeLed = false): void {
    this.#failure = error
    this.#welcome.reject(error)
    for (const [number, { isRepeat }] of this.#calls) {
      if (mayBeLed && isRepeat && this.#writes.has(number) && this.#closing === undefined) continue
      this.#settle(number, (call) => call.reject(error))
    }
    for (const following of this.#following.values())
      callListener((failure) => following.onError?.(failure), error)
  }

  #send(message: TabMessage): void {
    this.#outgoing.push(message)
    if (this.#outgoing.length === 1) void Promise.resolve().then(() => this.#flush())
  }

  #flush(): void {
    const messages = this.#outgoing
    const route = this.#route
    this.#outgoing = []
    if (route === undefined || messages.length === 0) return
    try {
      route.post({ leader: route.leader, messages })
    } catch {
      for (const message of messages) this.#postAlone(route, message)
    }
  }

  /** What a query is asked with cannot be copied: the others shall not suffer for it. */
  #postAlone(route: Route, message: TabMessage): void {
    try {
      route.post({ leader: route.leader, messages: [message] })
    } catch (error) {
      if (message.kind !== 'watch' && message.kind !== 'follow') return
      const refusal = new SyncError('VALUE_INVALID', `a query cannot be sent to the worker: ${String(error)}`)
      this.#following.get(message.id)?.onError?.(refusal)
    }
  }
}
