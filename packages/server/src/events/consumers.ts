import { type Environment, type Schema, SyncError } from '@holdfast/core'

import type { CommitHandler, EventOptions, Failure, RecordEvent, WebhookOptions } from './event-options.ts'
import { postEvent, readSecret } from './webhook.ts'

/** Somebody who is told of events, with a place of their own in the audit. */
export interface Consumer {
  readonly name: string
  readonly collections: ReadonlySet<string>
  /** Never rejects. */
  readonly deliver: (event: RecordEvent, signal: AbortSignal) => Promise<Failure | null>
}

/** What the one handler without a name is called. */
const handlerName = 'onCommit'
const namePattern = /^[A-Za-z0-9_-]{1,64}$/

/** Those whom options name. Errors: SCHEMA_INVALID, which never shows an address or a secret. Rules: EV-7. */
export function consumersOf(options: EventOptions, schema: Schema, env: Environment): readonly Consumer[] {
  const { onCommit = {}, webhooks = [] } = options
  const handlers = typeof onCommit === 'function' ? { [handlerName]: onCommit } : onCommit
  const consumers = [
    ...Object.entries(handlers).map(([name, handler]) => handlerOf(name, handler, schema)),
    ...webhooks.map((webhook) => webhookOf(webhook, schema, env)),
  ]
  const names = new Set<string>()
  for (const { name } of consumers) {
    if (!namePattern.test(name))
      throw invalid('the name of a handler or webhook is 1 to 64 letters, digits, "_" or "-"')
    if (names.has(name)) throw invalid(`two handlers or webhooks are called "${name}"`)
    names.add(name)
  }
  return consumers
}

function handlerOf(name: string, handler: CommitHandler, schema: Schema): Consumer {
  return {
    name,
    collections: new Set(schema.collections.keys()),
    deliver: async (event) => {
      try {
        await handler(event)
        return null
      } catch (error) {
        return { reason: reasonOf(error) }
      }
    },
  }
}

/** Of what a handler throws only what it is called: its message may quote what it was told. */
function reasonOf(error: unknown): string {
  try {
    if (error instanceof SyncError) return error.code
    if (!(error instanceof Error)) return typeof error
    // Whoever wrote it may have put anything there, also what throws when it is looked at.
    const name: unknown = error.name
    return typeof name === 'string' ? name.slice(0, 64) : 'Error'
  } catch {
    return 'Error'
  }
}

function webhookOf(webhook: WebhookOptions, schema: Schema, env: Environment): Consumer {
  const { name, collections = [...schema.collections.keys()] } = webhook
  const unknown = collections.find((collection) => !schema.collections.has(collection))
  if (unknown !== undefined)
    throw invalid(`webhook "${name}" names "${unknown}", which is no collection of the schema`)
  const url = readUrl(webhook)
  const secrets = (typeof webhook.secret === 'string' ? [webhook.secret] : webhook.secret).map(readSecret)
  if (secrets.length === 0 || secrets.includes(null))
    throw invalid(`the secret of webhook "${name}" is not "whsec_" and 24 to 64 bytes in base64`)
  const keys = secrets.filter((secret) => secret !== null)
  return {
    name,
    collections: new Set(collections),
    deliver: (event, signal) => postEvent({ url, keys, event, signal }, env),
  }
}

function readUrl({ name, url }: WebhookOptions): string {
  const parsed = URL.parse(url)
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    throw invalid(`the address of webhook "${name}" is no http or https URL`)
  if (parsed.username + parsed.password !== '')
    throw invalid(`the address of webhook "${name}" carries a name or a password`)
  return url
}

function invalid(message: string): SyncError {
  return new SyncError('SCHEMA_INVALID', message)
}
