import { type Environment, isObject, limits } from '@holdfast/core'

import { systemEnvironment } from '../system-environment.ts'
import { leaderLock } from '../tabs/tab-names.ts'
import { makeRequest } from '../transport/make-request.ts'
import { parseSealedBatch, type SealedBatch } from './sealed-batch.ts'
import { indexedDbSealedStore, type SealedStore } from './sealed-store.ts'

/** Whose batch a token is asked for. */
export interface SealedFor {
  /** Of the database. */
  readonly name: string
  readonly account: string
  readonly server: string
}

/** What sending needs; all of it is there in a service worker, but for the token. */
export interface SendOptions {
  /** A token for a batch that has none, or whose own is over or refused. null leaves the batch alone, and so does failing. */
  readonly token?: (batch: SealedFor) => string | null | Promise<string | null>
  readonly env?: Pick<Environment, 'fetch' | 'gzip' | 'now' | 'setTimer'>
  readonly store?: SealedStore
  /** Whether a tab has a database open and sends by itself. */
  readonly isLed?: (name: string) => Promise<boolean>
}

/**
 * What became of a batch. `sent`: the server has it. `led`: a tab has the database open. `noToken`: there was none, or the
 * server refused it. `refused`: the server wants something that only a tab can do. `unreached`: no usable answer.
 */
export type SendOutcome = 'sent' | 'led' | 'noToken' | 'refused' | 'unreached'

/** What became of all batches there were. */
export interface SendReport {
  readonly batches: readonly { readonly name: string; readonly outcome: SendOutcome }[]
  /** Whether another attempt may do more than this one. */
  readonly isWorthRepeating: boolean
}

/**
 * Sends what tabs have sealed: call it in a service worker, in the handler of a `sync`, `push` or `message` event. What the
 * server took is removed from the store; the next tab offers it again and takes the answer. Everything else is left as it
 * is. Repeating is safe, at any time and beside tabs. Errors: those of the store. Rules: BG-4 to BG-7.
 */
export async function sendSealedBatches(options: SendOptions = {}): Promise<SendReport> {
  const { env = systemEnvironment, store = indexedDbSealedStore(), isLed = isLedByTab, token } = options
  const sending = { env, store, isLed, token }
  const batches = await Promise.all(
    (await readBatches(store)).map(async (batch) => ({
      name: batch.name,
      outcome: await sendOne(batch, sending),
    })),
  )
  const isWorthRepeating = batches.some(({ outcome }) => outcome === 'unreached' || outcome === 'led')
  return { batches, isWorthRepeating }
}

/** Makes the promise of an event fail where another attempt may do more: browsers then fire a `sync` event again later. */
export function retryLater({ batches, isWorthRepeating }: SendReport): void {
  if (isWorthRepeating) throw new Error(`left: ${batches.map(({ outcome }) => outcome).join(', ')}`)
}

/** Removes what tabs of this origin have sealed of a database, as when somebody signs out. Repeating is safe. Rules: BG-8. */
export async function eraseSealedBatches(
  name: string,
  { store = indexedDbSealedStore() }: Pick<SendOptions, 'store'> = {},
): Promise<void> {
  await store.erase(name)
}

type Sending = Required<Omit<SendOptions, 'token'>> & Pick<SendOptions, 'token'>

async function readBatches(store: SealedStore): Promise<readonly SealedBatch[]> {
  return (await store.list()).flatMap((stored) => parseSealedBatch(stored) ?? [])
}

async function sendOne(batch: SealedBatch, sending: Sending): Promise<SendOutcome> {
  const { env, isLed } = sending
  if (await isLed(batch.name)) return 'led'
  const { token: held } = batch
  const lasts = held !== null && held.expiresAtMs > env.now()
  const outcome = lasts ? await sendWith(held.token, batch, sending) : 'noToken'
  if (outcome !== 'noToken') return outcome
  // The one that lay there may have been called back, and the clock may be wrong.
  const token = await within(env, () => askToken(batch, sending))
  return typeof token === 'string' ? sendWith(token, batch, sending) : 'noToken'
}

async function sendWith(token: string, { id }: SealedBatch, sending: Sending): Promise<SendOutcome> {
  const { store } = sending
  // Asking for a token may take long: somebody may have signed out meanwhile, or a tab may have sealed more.
  const current = (await readBatches(store)).find((batch) => batch.id === id)
  if (current === undefined) return 'led'
  const outcome = outcomeOf(await ask(current, token, sending))
  if (outcome === 'sent') await store.remove(current)
  return outcome
}

async function askToken({ name, account, request }: SealedBatch, { token }: Sending): Promise<string | null> {
  return (await token?.({ name, account, server: request.server })) ?? null
}

/** undefined: there was no answer, or not the whole of one. */
type Answered = { readonly status: number; readonly body: unknown } | undefined

function ask({ request: said }: SealedBatch, token: string, { env }: Sending): Promise<Answered> {
  return within(env, async (signal) => {
    const { request } = await makeRequest(env, said, { token, signal })
    const response = await env.fetch(request)
    const text = await response.text()
    return { status: response.status, body: parseJson(text) }
  })
}

/** What the work comes to; undefined when it fails, and when it takes longer than a request may. */
async function within<T>(
  env: Sending['env'],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const controller = new AbortController()
  const late = Promise.withResolvers<undefined>()
  const cancel = env.setTimer(() => {
    controller.abort()
    late.resolve(undefined)
  }, limits.requestTimeoutMs)
  try {
    return await Promise.race([work(controller.signal), late.promise])
  } catch {
    return undefined
  } finally {
    cancel()
  }
}

/** By status alone, but that what is not our server's answer is none. */
function outcomeOf(answer: Answered): SendOutcome {
  const { status, body } = answer ?? { status: 0, body: undefined }
  if (status === 200 || status === 202) {
    const isOurs = isObject(body) && (Array.isArray(body['results']) || typeof body['receipt'] === 'string')
    return isOurs ? 'sent' : 'unreached'
  }
  if (status === 401 || status === 403) return 'noToken'
  const isRefused = status >= 400 && status < 500 && ![407, 408, 425, 429].includes(status)
  return isRefused ? 'refused' : 'unreached'
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The worker of the tab that leads holds this lock. Without locks there are no tabs either. */
async function isLedByTab(name: string): Promise<boolean> {
  const { held = [] } = await navigator.locks.query()
  return held.some((lock) => lock.name === leaderLock(name))
}
