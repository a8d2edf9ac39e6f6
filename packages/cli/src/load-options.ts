import type { HttpServerOptions, WorkerOptions } from '@holdfast/server'

import { CommandError } from './command-error.ts'
import { loadModule } from './load-module.ts'

/** What each command cannot do without, and how it is told. */
const needs = {
  serve: 'a schema, a store, authenticate and scopes',
  worker: 'a schema, a store, scopes, and ingest.redis, onCommit, webhooks, retention or attachments',
} as const

interface OptionsOf {
  readonly serve: HttpServerOptions
  readonly worker: WorkerOptions
}

/** What a module exports as `options` or as its default, which may be a function that makes them. Errors: CommandError. */
export async function loadOptions<Command extends keyof OptionsOf>(
  command: Command,
  file: string | undefined,
): Promise<OptionsOf[Command]> {
  if (file === undefined) throw new CommandError(`${command} needs a FILE. Try: holdfast help ${command}`)
  const exported = await loadModule(file, 'server')
  const given = exported['options'] ?? exported['default']
  const options: unknown = isFunction(given) ? await given() : given
  if (isComplete(command, options)) return options
  throw new CommandError(`server file ${file} exports no options of createServer with ${needs[command]}.`)
}

function isFunction(value: unknown): value is () => unknown {
  return typeof value === 'function'
}

/** Told by shape; what is wrong inside is told by whoever takes them. */
function isComplete<Command extends keyof OptionsOf>(
  command: Command,
  value: unknown,
): value is OptionsOf[Command] {
  if (typeof value !== 'object' || value === null) return false
  const { schema, store, scopes, authenticate, ingest, ...others } = value as Partial<
    Record<keyof HttpServerOptions, unknown>
  >
  if (typeof schema !== 'object' || typeof store !== 'object' || typeof scopes !== 'function') return false
  if (command === 'serve') return typeof authenticate === 'function'
  if (typeof ingest === 'object' && ingest !== null && 'redis' in ingest) return true
  const { onCommit, webhooks, retention, attachments } = others
  return (onCommit ?? webhooks ?? retention ?? attachments) !== undefined
}
