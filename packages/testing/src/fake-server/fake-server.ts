import {
  type Environment,
  isObject,
  type Json,
  newUuid,
  parsePullRequest,
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
  /** Changes of a pull arrive in an order that has nothing to do with time. */
  disorder(isOn: boolean): void
  /** The server was put back from a backup: another history, in which cursors mean nothing. */
  changeEpoch(): void
  /** As `changeEpoch`, and everything this server ever learnt is gone. */
  forget(): void
  /** Sends an event to every stream. */
  poke(): void
  /** Mutations it ruled on, in order, by their ids; a repeat is not counted again. */
  readonly decided: readonly string[]
  /** Requests so far, by kind. */
  readonly requests: Readonly<Record<string, number>>
}

/** Makes a fake server. */
export function createFakeServer(options: FakeServerOptions): FakeServer {
  const { env, schema } = options
  const store = new FakeStore(schema)
  const faults = new FaultScript(env)
  for (const rule of options.script ?? []) faults.add(rule)
  const scopesByUser = new Map(
    Object.entries(options.scopes ?? {}).map(([user, scopes]) => [user, new Set(scopes)]),
  )
  const usersByToken = new Map<string, string | null>()
  const streams = new Set<ReadableStreamDefaultController<Uint8Array>>()
  const requests: Record<string, number> = {}
  let conflictsToInject = 0
  let isDisordered = false

  const scopesOf = (user: string): Set<string> => {
    const scopes = scopesByUser.get(user) ?? new Set(['global'])
    scopesByUser.set(user, scopes)
    return scopes
  }
  const callOf = (request: Request): PushCall & PullCall => {
    const token = request.headers.get('Authorization')?.replace(/^Bearer /, '') ?? ''
    const user = usersByToken.has(token) ? usersByToken.get(token) : token
    const device = request.headers.get('Holdfast-Device')
    if (!user) throw new SyncError('AUTH_REQUIRED', 'no valid token')
    if (!device) throw new SyncError('DEVICE_REQUIRED', 'no device')
    const account = request.headers.get('Holdfast-Account')
    if (account !== null && account !== user)
      throw new SyncError('ACCOUNT_MISMATCH', 'the database is of another account')
    return {
      store,
      user,
      device,
      scopes: new Set([...scopesOf(user), personalScope(user)]),
      nowMs: env.now(),
      newId: () => newUuid(env),
      takeConflict: () => conflictsToInject > 0 && conflictsToInject-- > 0,
      haves: options.haves ?? false,
      disorder: isDisordered,
    }
  }
  const openStream = (): Response => {
    let own: ReadableStreamDefaultController<Uint8Array>
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        own = controller
        streams.add(controller)
        controller.enqueue(utf8.encode(': open\n\n'))
      },
      cancel: () => void streams.delete(own),
    })
    return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } })
  }
  const handle = async (request: Request): Promise<Response> => {
    try {
      const call = callOf(request)
      const headers = { 'Holdfast-Account': call.user, 'Holdfast-Request': newUuid(env) }
      if (kindOf(request) === 'stream') return openStream()
      return Response.json(await answer(call, request), { headers })
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      const { code, message, retry } = error
      return Response.json({ error: { code, message, retry } }, { status: statusOfCode(code) })
    }
  }
  const writeAs = (collection: string, id: string, values: Values | null): number => {
    const schemaOf = store.collection(collection)
    if (!schemaOf) throw new Error(`the schema has no collection ${collection}`)
    const known = store.find(collection, id)?.snapshot
    const before = known === undefined || known.kind === 'absent' ? {} : (known.values ?? {})
    const version = store.head
    const next = { ...before, ...values }
    const now = new Date(env.now()).toISOString()
    store.write({
      collection: schemaOf,
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
    return store.head
  }
  return {
    fetch: (request) => {
      const kind = kindOf(request)
      requests[kind] = (requests[kind] ?? 0) + 1
      return faults.handle(request, kind, handle)
    },
    script: (rule) => faults.add(rule),
    heal: () => faults.heal(),
    write: writeAs,
    delete: (collection, id) => writeAs(collection, id, null),
    record: (collection, id) => {
      const snapshot = store.find(collection, id)?.snapshot
      return snapshot?.kind === 'live' ? snapshot.values : undefined
    },
    rows: (collection) =>
      new Map(
        [...store.records.values()].flatMap(({ collection: own, id, snapshot }) =>
          own === collection && snapshot.kind === 'live' ? [[id, snapshot.values] as const] : [],
        ),
      ),
    grant: (user, scope) => void scopesOf(user).add(scope),
    revoke: (user, scope) => void scopesOf(user).delete(scope),
    expire: (token) => void usersByToken.set(token, null),
    accept: (token, user = token) => void usersByToken.set(token, user),
    injectConflicts: (count) => {
      conflictsToInject = count
    },
    disorder: (isOn) => {
      isDisordered = isOn
    },
    changeEpoch: () => {
      store.epoch = `${store.epoch}+`
    },
    forget: () => {
      store.epoch = `${store.epoch}+`
      store.records.clear()
      store.feed.clear()
      store.devices.clear()
      store.head = 0
    },
    poke: () => {
      for (const stream of streams) stream.enqueue(utf8.encode('event: poke\ndata: {}\n\n'))
    },
    get decided() {
      return [...store.devices.values()].flatMap(({ outcomes }) => outcomes.map(({ id }) => id))
    },
    requests,
  }
}

const utf8 = new TextEncoder()

function kindOf(request: Request): string {
  const path = new URL(request.url).pathname
  return /\/sync\/(\w+)$/.exec(path)?.[1] ?? (path.includes('/records/') ? 'records' : 'other')
}

async function answer(call: PushCall & PullCall, request: Request): Promise<Json | object> {
  const { pathname, searchParams } = new URL(request.url)
  const kind = kindOf(request)
  if (kind === 'push') return answerPush(call, await readBody(request))
  if (kind === 'pull') {
    const options = parsePullRequest(await readBody(request))
    acknowledge(call, options.ack ?? '')
    return answerPull(call, options)
  }
  if (kind === 'snapshot') {
    acknowledge(call, searchParams.get('ack') ?? '')
    const limit = Number(searchParams.get('limit') ?? 0) || undefined
    return answerSnapshot(call, {
      cursor: searchParams.get('cursor') ?? undefined,
      scope: searchParams.get('scope') ?? undefined,
      limit,
    })
  }
  const [, collection = '', id = ''] = /\/records\/([^/]+)\/([^/]+)$/.exec(pathname) ?? []
  const record = call.store.find(collection, id)
  const isSeen = record?.snapshot.kind === 'live' && record.scopes.some((scope) => call.scopes.has(scope))
  if (!record || !isSeen) throw new SyncError('RECORD_NOT_FOUND', 'there is no such record')
  return call.store.canonical(record)
}

async function readBody(request: Request): Promise<unknown> {
  if (request.headers.get('Content-Encoding') !== 'gzip') return request.json()
  const unpacked = (request.body ?? new Blob([]).stream()).pipeThrough(new DecompressionStream('gzip'))
  const body: unknown = await new Response(unpacked).json()
  if (!isObject(body)) throw new SyncError('REQUEST_INVALID', 'a body is an object')
  return body
}
