import { spawnSync } from 'node:child_process'

import { isRoot } from './debian-package.ts'

/** Ids to run a server with. */
export interface UserIds {
  readonly uid: number
  readonly gid: number
}

/**
 * PostgreSQL and PgBouncer refuse to be run by root. Then they run as the user `postgres`, who is made when there is
 * none; anybody else runs them as themselves.
 */
export function unprivilegedUser(): UserIds | undefined {
  if (!isRoot()) return undefined
  const ids = readIds()
  if (ids !== undefined) return ids
  spawnSync('useradd', ['--system', '--user-group', '--no-create-home', 'postgres'])
  const made = readIds()
  if (made === undefined) throw new Error('root cannot run this server, and there is no user postgres')
  return made
}

function readIds(): UserIds | undefined {
  const [uid, gid] = ['-u', '-g'].map((flag) => {
    const { status, stdout } = spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' })
    return status === 0 ? Number(stdout) : undefined
  })
  return uid === undefined || gid === undefined ? undefined : { uid, gid }
}
