import { join } from 'node:path'

import { Client } from 'pg'

import { makeCluster } from './new-cluster.ts'
import { embeddedPostgres, systemPostgres } from './postgres-programs.ts'
import { freePort } from './free-port.ts'
import { ServerProcess, temporaryFolder } from './server-process.ts'
import { unprivilegedUser } from './unprivileged-user.ts'

/** Which PostgreSQL, and how careful. */
export interface PostgresOptions {
  /**
   * A server of one's own, to kill and restart: `embedded` is PostgreSQL 18 of the npm package, `system` is Debian's
   * PostgreSQL 15. Without it, the server of DATABASE_URL if there is one, else `embedded`.
   */
  readonly flavour?: 'embedded' | 'system'
  /**
   * fsync and full_page_writes off: what is committed survives a killed server but not a machine without power. It is
   * not synchronous_commit off, which would lose acknowledged commits with a killed server.
   */
  readonly fast?: boolean
  /** Settings of the server by name. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A running PostgreSQL. */
export interface PostgresServer {
  /** Of its database `postgres`, with a superuser. */
  readonly url: string
  readonly port: number
  /** As the server says it, for example `18.4`. */
  readonly version: string
  /** Undefined when the server is not ours. */
  readonly dataDir: string | undefined
  /** Ends it and removes its data. A server that is not ours is left alone. */
  stop(): Promise<void>
  /** Sends the signal to the server and waits for its end. Its data stay. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again, with its data and at its port; one that runs is ended in order before. */
  restart(): Promise<void>
}

/** Attempts at a port that was free and then was not. */
const portAttempts = 3

/** Starts a PostgreSQL on a free port of the loopback interface, with data of its own that go when it is stopped. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const given = process.env['DATABASE_URL']
  if (options.flavour === undefined && given !== undefined && given !== '') return connectPostgres(given)
  const programs = options.flavour === 'system' ? systemPostgres() : embeddedPostgres()
  const user = unprivilegedUser()
  const folder = await temporaryFolder('postgres', user)
  const dataDir = join(folder, 'data')
  makeCluster({ programs, dataDir, folder, user })
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const server = new ServerProcess({
      path: programs.postgres,
      args: serverArgs(dataDir, port, options),
      // A standby takes those that only read.
      ready: /database system is ready to accept (?:read-only )?connections/,
      busy: /is still in use|lock file .* already exists/,
      stopSignal: 'SIGINT',
      orphanSignal: 'QUIT',
      folder,
      user,
    })
    try {
      await server.start()
      return await describeServer({ server, port, dataDir })
    } catch (error) {
      if (attempt < portAttempts && /Address already in use/.test(String(error))) continue
      await server.remove()
      throw error
    }
  }
}

interface StartedServer {
  readonly server: ServerProcess
  readonly port: number
  readonly dataDir: string
}

async function describeServer({ server, port, dataDir }: StartedServer): Promise<PostgresServer> {
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  return {
    url,
    port,
    dataDir,
    version: await readVersion(url),
    stop: () => server.remove(),
    kill: (signal = 'SIGKILL') => server.kill(signal),
    restart: () => server.restart(),
  }
}

async function connectPostgres(url: string): Promise<PostgresServer> {
  const notOurs = (): Promise<never> =>
    Promise.reject(new Error('the server of DATABASE_URL is not ours to end: start one with a flavour'))
  return {
    url,
    port: Number(new URL(url).port || 5432),
    version: await readVersion(url),
    dataDir: undefined,
    stop: () => Promise.resolve(),
    kill: notOurs,
    restart: notOurs,
  }
}

function serverArgs(dataDir: string, port: number, { fast, settings }: PostgresOptions): string[] {
  const all = {
    listen_addresses: '127.0.0.1',
    port: `${port}`,
    unix_socket_directories: '',
    max_connections: '200',
    shared_buffers: '64MB',
    ...(fast === true ? { fsync: 'off', full_page_writes: 'off' } : {}),
    ...settings,
  }
  return ['-D', dataDir, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
}

async function readVersion(url: string): Promise<string> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ version: string }>(
      `SELECT current_setting('server_version') AS version`,
    )
    return rows[0]?.version.split(' ')[0] ?? ''
  } finally {
    await client.end()
  }
}
