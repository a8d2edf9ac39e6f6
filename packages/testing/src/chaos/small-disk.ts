import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** A disk of its own that can be filled to the last block. */
export interface SmallDisk {
  /** Where it is mounted. */
  readonly folder: string
  /** Takes all the space there is. */
  fill(): void
  /** Gives it back. */
  free(): void
  /** Unmounts it. Nothing may be open on it. */
  remove(): void
}

/** Large enough for a device's database and its log of 16 MB. */
const diskBytes = 64 * 1_048_576

/**
 * A page of memory, as on the disks that devices have. SQLite maps the index of its log into memory and has a block of
 * every page of it allocated; where blocks are smaller, the rest of a page may meet a full disk, which ends the process.
 */
const blockBytes = 4_096

/**
 * A file with a file system in it, mounted through a loop device; needs root. Where the machine does not allow it, the
 * reason.
 */
export function makeSmallDisk(folder: string): SmallDisk | string {
  const image = join(folder, 'disk.img')
  const mounted = join(folder, 'disk')
  mkdirSync(mounted)
  const file = openSync(image, 'w')
  ftruncateSync(file, diskBytes)
  closeSync(file)
  for (const [command, ...args] of [
    ['mkfs.ext4', '-q', '-m', '0', '-b', `${blockBytes}`, image],
    ['mount', '-o', 'loop', image, mounted],
  ] as const) {
    const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
    if (status !== 0) return `${command}: ${error?.message ?? stderr.trim()}`
  }
  const filler = join(mounted, 'filler')
  return {
    folder: mounted,
    fill: () => fill(filler),
    free: () => rmSync(filler, { force: true }),
    remove() {
      rmSync(filler, { force: true })
      spawnSync('umount', [mounted])
      rmSync(image, { force: true })
    },
  }
}

function fill(path: string): void {
  const file = openSync(path, 'a')
  try {
    for (const bytes of [1_048_576, 4_096]) writeUntilFull(file, path, Buffer.alloc(bytes, 1))
  } finally {
    closeSync(file)
  }
}

function writeUntilFull(file: number, path: string, block: Buffer): void {
  const most = statfsSync(path).blocks
  try {
    for (let count = 0; count < most; count++) writeSync(file, block)
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOSPC') throw error
  }
}
