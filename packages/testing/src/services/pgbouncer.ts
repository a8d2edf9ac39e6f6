import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { findProgram } from './debian-package.ts'
import { freePort } from './free-port.ts'
import { ServerProcess, temporaryFolder } from './server-process.ts'
import { unprivilegedUser } from './unprivileged-user.ts'

/** What a PgBouncer stands in front of. */
export interface PgbouncerOptions {
  /** Address of a database of the PostgreSQL behind it. */
  readonly upstream: string
  /** Connections to the PostgreSQL for each database. */
  readonly poolSize?: number
}

/** A running PgBouncer that gives its connections away for one transaction at a time. */
export interface Pgbouncer {
  /** The upstream's address through the pooler; any other database of that PostgreSQL is reached likewise. */
  readonly url: string
  readonly port: number
  stop(): Promise<void>
  kill(signal?: NodeJS.Signals): Promise<void>
  restart(): Promise<void>
}

/** Starts a PgBouncer on a free port of the loopback interface. Whoever connects is let in. */
export async function startPgbouncer({ upstream, poolSize = 10 }: PgbouncerOptions): Promise<Pgbouncer> {
  const path = findProgram({ name: 'pgbouncer', debianPackage: 'pgbouncer' })
  const user = unprivilegedUser()
  const folder = await temporaryFolder('pgbouncer', user)
  const port = await freePort()
  const configPath = join(folder, 'pgbouncer.ini')
  writeFileSync(configPath, describePool(new URL(upstream), port, poolSize))
  const server = new ServerProcess({
    path,
    args: [configPath],
    ready: /process up/,
    busy: /Address already in use/,
    stopSignal: 'SIGTERM',
    orphanSignal: 'KILL',
    folder,
    user,
  })
  await server.start()
  const url = new URL(upstream)
  url.host = `127.0.0.1:${port}`
  return {
    url: url.href,
    port,
    stop: () => server.remove(),
    kill: (signal = 'SIGKILL') => server.kill(signal),
    restart: () => server.restart(),
  }
}

function describePool(upstream: URL, port: number, poolSize: number): string {
  const quote = (text: string): string => `'${decodeURIComponent(text).replaceAll("'", "''")}'`
  const password = upstream.password === '' ? '' : ` password=${quote(upstream.password)}`
  return [
    '[databases]',
    `* = host=${upstream.hostname} port=${upstream.port || 5432} user=${quote(upstream.username)}${password}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    `default_pool_size = ${poolSize}`,
    'max_client_conn = 500',
    '',
  ].join('\n')
}
