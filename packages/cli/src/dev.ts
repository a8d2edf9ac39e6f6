import { createServer, fileAttachments, sqliteStore, type User } from '@holdfast/server'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

import { CommandError, firstLine } from './command-error.ts'
import { listen, parsePort } from './http-listener.ts'
import { failureLogger, lineLogger } from './line-logger.ts'
import { loadSchema } from './load-schema.ts'
import { loadScopes } from './load-scopes.ts'
import type { GivenOptions } from './given-options.ts'
import { nextSignal } from './next-signal.ts'

const defaultPort = '8787'
const defaultData = '.holdfast'

/** A request that has not ended this long after the signal is cut off, ms. */
const drainMs = 5_000

/** `holdfast dev`: serves until a signal comes, then drains; resolves with the exit code. Rules: OP-21 to OP-26. */
export async function runDev(given: GivenOptions): Promise<number> {
  if (given.schema === undefined) throw new CommandError('dev needs --schema FILE. Try: holdfast help dev')
  const port = parsePort(given.port ?? defaultPort)
  const warn = (line: string): void => void process.stderr.write(`holdfast: ${line}\n`)
  const schema = await loadSchema(given.schema)
  const scopes = await loadScopes(given.scopes, warn)
  const folder = makeFolder(given.data ?? defaultData)
  const signal = nextSignal()
  const sync = await createServer({
    schema,
    scopes,
    authenticate: developer,
    mayReview: () => true,
    store: sqliteStore(join(folder, 'holdfast.db')),
    attachments: { store: fileAttachments(join(folder, 'attachments')) },
    logger: given.verbose === true ? lineLogger() : failureLogger(),
  }).catch((cause: unknown) => {
    throw new CommandError(`${join(folder, 'holdfast.db')} cannot be used: ${firstLine(cause)}`, { cause })
  })
  try {
    const listener = await listen({ fetch: sync.fetch, host: '127.0.0.1', port })
    process.stdout.write(`listening on http://127.0.0.1:${listener.port}\n`)
    await signal
    await listener.drain(sync.close(), drainMs)
  } finally {
    await sync.close()
  }
  return 0
}

/** The token `dev:ann` is the user `ann`. Only this command believes that. */
function developer(request: Request): User | null {
  const match = /^Bearer dev:(\S{1,200})$/i.exec(request.headers.get('authorization') ?? '')
  return match?.[1] === undefined ? null : { id: match[1] }
}

function makeFolder(path: string): string {
  const folder = resolve(path)
  try {
    makeFolders(folder)
  } catch (cause) {
    throw new CommandError(`folder ${folder} cannot be made: ${firstLine(cause)}`, { cause })
  }
  return folder
}

/** One after the other: asked for all at once, Node never comes back where a file system such as /proc makes none. */
function makeFolders(folder: string): void {
  // What is there and no folder is found by whoever opens something in it.
  if (existsSync(folder)) return
  makeFolders(dirname(folder))
  // Only for whoever runs the server: the database holds everybody's rows.
  mkdirSync(folder, { mode: 0o700 })
}
