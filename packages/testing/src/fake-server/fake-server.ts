import {
  type Environment,
  type ErrorCode,
  errorTable,
  isObject,
  type Json,
  newUuid,
  parsePullRequest,
  parseSnapshotRequest,
  personalScope,
  type Schema,
  statusOfCode,
  SyncError,
  type Values,
} from '@holdfast/core'
import { FaultScript } from './faults.ts'
import type { FaultRule } from './faults.ts'
import { answerPull, answerSnapshot, type PullCall } from './fake-pull.ts'
import { acknowledge, answerPush, type PushCall } from './fake-push.ts'
import { FakeAttachments } from './fake-attachments.ts'
import { FakeStore } from './fake-store.ts'

/** What a fake server is made from. */
export interface FakeServerOptions {
  readonly schema: Schema
  /** Its clock, dice and timers; usually the virtual environment of the test. */
  readonly env: Environment
  /** Scopes by user; everybody has `global` unless said. A token is the name of its user. */
  readonly scopes?: Readonly<Record<string, readonly string[]>>
  /** Faults from the start. */
  readonly script?: readonly FaultRule[]
  /** Own writes come back without their data; false unless said. */
  readonly haves?: boolean
}

/** A server in memory for tests of an app: right as long as nothing is scripted. Rules: ENV-3, ENV-4. */
export interface FakeServer {
  /** Give it to an environment, or use it as `fetch`. Requests are told apart by their paths alone, whatever the host. */
  readonly fetch: (request: Request) => Promise<Response>
  /** Makes something go wrong. Returns the way to take it back. */
  script(rule: FaultRule): () => void
  /** Everything works from now on. */
  heal(): void
  /** Somebody else writes; gives the version. Values are laid over those that are there. */
  write(collection: string, id: string, values: Values): number
  /** Somebody else deletes. */
  delete(collection: string, id: string): number
  /** A record as the server has it; undefined when there is none or it was deleted. */
  record(collection: string, id: string): Values | undefined
  /** Every live record of a collection, by id. */
  rows(collection: string): ReadonlyMap<string, Values>
  /** Changes who sees what. */
  grant(user: string, scope: string): void
  revoke(user: string, scope: string): void
  /** Tokens of this user are refused from now on, until `accept`. */
  expire(token: string): void
  accept(token: string, user?: string): void
  /** The next updates become conflicts, whatever they say. */
  injectConflicts(count: number): void
  /** The next mutations are refused with this code, whatever they say: dead letters on the device. */
  injectRefusals(count: number, code: ErrorCode, message?: string): void
  /** Changes of a pull arrive in an order that has nothing to do with time. */
  disorder(isOn: boolean): void
  /** The server was put back from a backup: another history, in which cursors mean nothing. */
  changeEpoch(): void
  /** As `changeEpoch`, and everything this server ever learnt is gone. */
  forget(): void
  /** The bytes it stores for an attachment of a record; undefined while there are none. */
  attachment(collection: string, id: string, hash: string): Uint8Array | undefined
  /** Its attachments are lost, or damaged: what a restored disk may do. */
  loseAttachments(how?: 'gone' | 'damaged'): void
  /** Sends an event to every stream. */
  poke(): void
  /** Mutations it ruled on, in order, by their ids; a repeat is not counted again. */
  readonly decided: readonly string[]
  /** Requests so far, by kind. */
  readonly requests: Readonly<Record<string, number>>
}

/** Makes a fake server. */
export function createFakeServer(options: FakeServerOptions): FakeServer {
  return new MemoryServer(options)
}

type Stream = ReadableStreamDefaultController<Uint8Array>

class MemoryServer implements FakeServer {
  readonly requests: Record<string, number> = {}
  readonly #options: FakeServerOptions
  readonly #store: FakeStore
  readonly #faults: FaultScript
  readonly #attachments = new FakeAttachments()
  readonly #scopesByUser: Map<string, Set<string>>
  readonly #usersByToken = new Map<string, string | null>()
  readonly #streams = new Set<Stream>()
  #conflictsToInject = 0
  readonly #refusalsToInject: SyncError[] = []
  #isDisordered = false

  constructor(options: FakeServerOptions) {
    this.#options = options
    this.#store = new FakeStore(options.schema)
    this.#faults = new FaultScript(options.env)
    for (const rule of options.script ?? []) this.#faults.add(rule)
    const scopes = Object.entries(options.scopes ?? {})
    this.#scopesByUser = new Map(scopes.map(([user, own]) => [user, new Set(own)]))
  }

  readonly fetch = (request: Request): Promise<Response> => {
    const kind = kindOf(request)
    this.requests[kind] = (this.requests[kind] ?? 0) + 1
    return this.#faults.handle(request, kind, (passed) => this.#handle(passed))
  }

  get decided(): readonly string[] {
    return [...this.#store.devices.values()].flatMap(({ outcomes }) => outcomes.map(({ id }) => id))
  }

  script(rule: FaultRule): () => void {
    return this.#faults.add(rule)
  }

  heal(): void {
    this.#faults.heal()
  }

  write(collection: string, id: string, values: Values): number {
    return this.#writeAs(collection, id, values)
  }

  delete(collection: string, id: string): number {
    return this.#writeAs(collection, id, null)
  }

  record(collection: string, id: string): Values | undefined {
    return this.rows(collection).get(id)
  }

  rows(collection: string): ReadonlyMap<string, Values> {
    const rows = new Map<string, Values>()
    for (const { collection: own, id, snapshot } of this.#store.records.values()) {
      if (own === collection && snapshot.kind === 'live') rows.set(id, snapshot.values)
    }
    return rows
  }

  grant(user: string, scope: string): void {
    this.#scopesOf(user).add(scope)
  }

  revoke(user: string, scope: string): void {
    this.#scopesOf(user).delete(scope)
  }

  expire(token: string): void {
    this.#usersByToken.set(token, null)
  }

  accept(token: string, user: string = token): void {
    this.#usersByToken.set(token, user)
  }

  injectConflicts(count: number): void {
    this.#conflictsToInject = count
  }

  injectRefusals(count: number, code: ErrorCode, message: string = errorTable[code].meaning): void {
    this.#refusalsToInject.push(...Array.from({ length: count }, () => new SyncError(code, message)))
  }

  disorder(isOn: boolean): void {
    this.#isDisordered = isOn
  }

  changeEpoch(): void {
    this.#store.epoch = `${this.#store.epoch}+`
  }

  forget(): void {
    this.changeEpoch()
    this.#store.clear()
    this.#attachments.clear()
  }

  attachment(collection: string, id: string, hash: string): Uint8Array | undefined {
    return this.#attachments.stored.get(`${collection}/${id}/${hash}`)
  }

  loseAttachments(how: 'gone' | 'damaged' = 'gone'): void {
    if (how === 'gone') this.#attachments.clear()
    for (const [key, bytes] of this.#attachments.stored)
      this.#attachments.stored.set(
        key,
        bytes.map((byte) => byte ^ 1),
      )
  }

  poke(): void {
    for (const stream of this.#streams) stream.enqueue(utf8.encode('event: poke\ndata: {}\n\n'))
  }

  async #handle(request: Request): Promise<Response> {
    try {
      const call = this.#callOf(request)
      const headers = { 'Holdfast-Account': call.user, 'Holdfast-Request': newUuid(this.#options.env) }
      if (kindOf(request) === 'stream') return this.#openStream()
      if (isOfAttachments(request)) return await this.#attachments.answer(call, request)
      return Response.json(await answer(call, request), { headers })
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      const { code, message, retry } = error
      return Response.json({ error: { code, message, retry } }, { status: statusOfCode(code) })
    }
  }

  #callOf(request: Request): PushCall & PullCall {
    const token = request.headers.get('Authorization')?.replace(/^Bearer /, '') ?? ''
    const user = this.#usersByToken.has(token) ? this.#usersByToken.get(token) : token
    const device = request.headers.get('Holdfast-Device')
    if (!user) throw new SyncError('AUTH_REQUIRED', 'no valid token')
    if (!device) throw new SyncError('DEVICE_REQUIRED', 'no device')
    const account = request.headers.get('Holdfast-Account')
    if (account !== null && account !== user) throw new SyncError('ACCOUNT_MISMATCH', 'of another account')
    const { env, haves = false } = this.#options
    return {
      store: this.#store,
      user,
      device,
      scopes: new Set([...this.#scopesOf(user), personalScope(user)]),
      nowMs: env.now(),
      newId: () => newUuid(env),
      takeRefusal: () => {
        const refusal = this.#refusalsToInject.shift()
        if (refusal !== undefined) throw refusal
      },
      takeConflict: () => this.#conflictsToInject > 0 && this.#conflictsToInject-- > 0,
      haves,
      disorder: this.#isDisordered,
    }
  }

  #scopesOf(user: string): Set<string> {
    const scopes = this.#scopesByUser.get(user) ?? new Set(['global'])
    this.#scopesByUser.set(user, scopes)
    return scopes
  }

  #openStream(): Response {
    let own: Stream | undefined
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        own = controller
        this.#streams.add(controller)
        controller.enqueue(utf8.encode(': open\n\n'))
      },
      cancel: () => void (own && this.#streams.delete(own)),
    })
    return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } })
  }

  #writeAs(name: string, id: string, values: Values | null): number {
    const collection = this.#store.collection(name)
    if (!collection) throw new Error(`the schema has no collection ${name}`)
    const known = this.#store.find(name, id)?.snapshot
    const before = known === undefined || known.kind === 'absent' ? {} : (known.values ?? {})
    const version = this.#store.head
    const next = { ...before, ...values }
    const now = new Date(this.#options.env.now()).toISOString()
    this.#store.write({
      collection,
      record: id,
      next:
        values === null
          ? { kind: 'deleted', version, values: before }
          : { kind: 'live', version, values: next },
      fields: Object.keys(values ?? next),
      at: now,
      now,
      device: null,
    })
    return this.#store.head
  }
}

const utf8 = new TextEncoder()

function kindOf(request: Request): string {
  const path = new URL(request.url).pathname
  if (isOfAttachments(request))
    return path.endsWith('/upload') || request.method === 'POST' ? 'upload' : 'attachment'
  return /\/sync\/(\w+)$/.exec(path)?.[1] ?? (path.includes('/records/') ? 'records' : 'other')
}

function isOfAttachments(request: Request): boolean {
  return /\/attachments(\/|$)/.test(new URL(request.url).pathname)
}

async function answer(call: PushCall & PullCall, request: Request): Promise<Json | object> {
  const kind = kindOf(request)
  if (kind === 'push') return answerPush(call, await readBody(request))
  if (kind === 'pull') {
    const options = parsePullRequest(await readBody(request))
    acknowledge(call, options.ack ?? '')
    return answerPull(call, options)
  }
  if (kind === 'snapshot') {
    const options = parseSnapshotRequest(request.method === 'POST' ? await readBody(request) : {})
    acknowledge(call, options.ack ?? '')
    return answerSnapshot(call, options)
  }
  throw new SyncError('NOT_FOUND', `a fake server answers nothing at ${new URL(request.url).pathname}`)
}

async function readBody(request: Request): Promise<unknown> {
  if (request.headers.get('Content-Encoding') !== 'gzip') return request.json()
  const unpacked = (request.body ?? new Blob([]).stream()).pipeThrough(new DecompressionStream('gzip'))
  const body: unknown = await new Response(unpacked).json()
  if (!isObject(body)) throw new SyncError('REQUEST_INVALID', 'a body is an object')
  return body
}
