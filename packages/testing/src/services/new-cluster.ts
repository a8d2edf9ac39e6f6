import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { join } from 'node:path'

import type { PostgresPrograms } from './postgres-programs.ts'
import type { UserIds } from './unprivileged-user.ts'

/** What the data of a PostgreSQL are made with. */
export interface NewCluster {
  readonly programs: PostgresPrograms
  /** Where they are to be; its parent is there. */
  readonly dataDir: string
  readonly folder: string
  readonly user: UserIds | undefined
}

/** Where a test run keeps what initdb made, if it does. */
export const clustersVariable = 'HOLDFAST_TEST_CLUSTERS'

/**
 * Makes the data of a new PostgreSQL. A test run starts a dozen: what initdb made for the first is copied for the others.
 * Text is ordered as people do, not by bytes: what relies on the order of bytes shows.
 */
export function makeCluster(cluster: NewCluster): void {
  const kept = process.env[clustersVariable]
  if (kept === undefined) return initialise(cluster)
  const { programs, dataDir, user } = cluster
  const model = join(kept, createHash('sha256').update(programs.initdb).digest('hex').slice(0, 16))
  if (!existsSync(model)) keepModel(cluster, model)
  cpSync(model, dataDir, { recursive: true })
  // PostgreSQL takes no data that others may look into.
  chmodSync(dataDir, 0o700)
  if (user !== undefined) giveTo(user, dataDir)
}

/** Whoever comes second finds that it is there, and has made his own for nothing. */
function keepModel(cluster: NewCluster, model: string): void {
  const made = join(mkdtempSync(`${model}-`), 'data')
  if (cluster.user !== undefined) giveTo(cluster.user, join(made, '..'))
  initialise({ ...cluster, dataDir: made })
  try {
    renameSync(made, model)
  } catch (error) {
    if (!existsSync(model)) throw error
  }
  rmSync(join(made, '..'), { recursive: true, force: true })
}

function giveTo({ uid, gid }: UserIds, path: string): void {
  chownSync(path, uid, gid)
  for (const entry of readdirSync(path, { recursive: true, encoding: 'utf8' }))
    chownSync(join(path, entry), uid, gid)
}

function initialise({ programs, dataDir, folder, user }: NewCluster): void {
  const locale = ['--locale=C', '--locale-provider=icu', '--icu-locale=en-US', '--encoding=UTF8']
  const args = ['--pgdata', dataDir, '--username=postgres', '--auth=trust', '--no-sync', ...locale]
  const { status, stderr, error } = spawnSync(programs.initdb, args, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    ...user,
  })
  if (status === 0) return
  const reach = user === undefined ? '' : ' (the user postgres must be able to read it)'
  throw new Error(`${programs.initdb}${reach} failed: ${error?.message ?? stderr}`)
}
