import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

import { MissingService } from './missing-service.ts'

/** A program and where it comes from. */
export interface Program {
  readonly name: string
  /** Folders to look in, in this order; without it, those of PATH. */
  readonly folders?: readonly string[]
  readonly debianPackage: string
  /** What may be done instead of installing the package. */
  readonly otherwise?: string
}

/**
 * Installs without starting anything: while it runs, a policy forbids services to start. One process at a time, because
 * apt lets no second one in. Package lists are fetched only when the package is not found without.
 */
const installScript = `
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\\nexit 101\\n' > $policy && chmod 755 $policy
  trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends "$0" ||
  { apt-get update && apt-get install -y --no-install-recommends "$0"; }`

/** The path of a program. Root on Debian gets it installed; for anybody else it is missing. */
export function findProgram({ name, folders, debianPackage, otherwise }: Program): string {
  const places = folders ?? [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const find = (): string | undefined => places.map((folder) => join(folder, name)).find(isExecutable)
  const found = find() ?? (install(debianPackage) ? find() : undefined)
  if (found !== undefined) return found
  const hint = otherwise === undefined ? '' : `, or ${otherwise}`
  throw new MissingService(
    `${name} is missing, its tests cannot run: install it (Debian: apt-get install ${debianPackage})${hint}`,
  )
}

/** Whether this process is root, which may install packages but not run every server. */
export function isRoot(): boolean {
  return process.getuid?.() === 0
}

function install(debianPackage: string): boolean {
  if (!isRoot() || !isExecutable('/usr/bin/apt-get')) return false
  // One for all, whatever folder each of them has for its temporary files.
  const lock = '/tmp/holdfast-apt.lock'
  const done = spawnSync('flock', [lock, 'sh', '-c', installScript, debianPackage], { stdio: 'ignore' })
  return done.status === 0
}

/** Whether there is a program at that path. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
