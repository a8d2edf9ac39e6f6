import type { Checker } from './checker.ts'
import type { DeviceCursor, EntryWritten, Observation, ServerAudit, ServerOutcome } from './observation.ts'

/**
 * Cursors and versions only move forward, and verdicts stay, unless a fault that was injected put a disk or the server
 * back. Rules: SIM-39.
 */
export const monotone: Checker = {
  name: 'monotone',
  promise: 'Cursors and versions never go back, and a verdict is never taken back.',
  start: (fail) => {
    const watch = new ForwardWatch(fail)
    return (o) => watch.observe(o)
  },
}

interface Cursor {
  readonly epoch: string
  readonly position: number
}

class ForwardWatch {
  readonly #fail: (message: string) => void
  readonly #cursors = new Map<string, Cursor>()
  /** By disk, the stamp of what was written last. */
  readonly #stamps = new Map<string, string>()
  /** By key, the stamp that a mutation was written under. */
  readonly #stampOf = new Map<string, string>()
  /** How often the server was put back, and each disk after it: the history it read on from is not there any more. */
  #restores = 0
  readonly #returns = new Map<string, number>()
  readonly #versions = new Map<string, number>()
  readonly #undos: { readonly n: number; readonly key: string; readonly version: number | undefined }[] = []
  readonly #verdicts = new Map<string, ServerOutcome['status']>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    switch (o.kind) {
      case 'cursor':
        this.#advance(o)
        return
      case 'entry-written':
        this.#tick(o)
        return
      case 'entry-moved': {
        // A dead letter that is tried again goes under another key with the stamp it has.
        const stamp = this.#stampOf.get(o.from.id)
        if (stamp !== undefined) this.#stampOf.set(o.to.id, stamp)
        return
      }
      case 'device-lost':
        // Where every commit was promised to survive, a power cut takes nothing, the cursor included.
        if (o.cause !== 'power-cut' || o.durability === 'fast') {
          this.#cursors.delete(o.disk)
          this.#stamps.delete(o.disk)
          // What it holds again may be of before any restore.
          this.#returns.delete(o.disk)
        }
        return
      case 'device-copied': {
        const cursor = this.#cursors.get(o.disk)
        if (cursor) this.#cursors.set(o.to, cursor)
        else this.#cursors.delete(o.to)
        return
      }
      case 'audit':
        this.#grow(o)
        return
      case 'outcome':
        this.#rule(o)
        return
      case 'server-restored':
        this.#restores += 1
        for (let last = this.#undos.at(-1); last && last.n > o.auditN; last = this.#undos.at(-1)) {
          this.#undos.pop()
          if (last.version === undefined) this.#versions.delete(last.key)
          else this.#versions.set(last.key, last.version)
        }
        for (const { user, device, id } of o.forgotten) {
          if (!this.#verdicts.delete(`${user} ${device} ${id}`)) {
            this.#fail(`the server forgot a verdict on ${id} that it was never seen giving`)
          }
        }
        return
      default:
        return
    }
  }

  /** Time and counter of a stamp; what follows names the device. */
  #tick({ disk, id, at }: EntryWritten): void {
    const stamp = at.slice(0, 29)
    // What was settled returns as it was to a server that was put back: that is no new stamp.
    if (this.#restores > 0 && this.#stampOf.get(id) === stamp) return
    this.#stampOf.set(id, stamp)
    const known = this.#stamps.get(disk) ?? ''
    if (stamp <= known) this.#fail(`${id} on ${disk} is stamped ${stamp}, although ${known} was before it`)
    this.#stamps.set(disk, stamp)
  }

  #advance({ disk, epoch, position }: DeviceCursor): void {
    const known = this.#cursors.get(disk)
    if (epoch === null) {
      this.#cursors.delete(disk)
      return
    }
    if (known?.epoch === epoch && position < known.position) {
      const returns = (this.#returns.get(disk) ?? 0) + 1
      this.#returns.set(disk, returns)
      if (returns > this.#restores) {
        this.#fail(
          `the cursor of ${disk} went back from ${known.position} to ${position} in the epoch ${epoch}`,
        )
      }
    }
    this.#cursors.set(disk, { epoch, position })
  }

  #grow({ n, collection, record, version, op }: ServerAudit): void {
    if (op === 'none' || version === null) return
    const key = `${collection}/${record}`
    const known = this.#versions.get(key)
    if (known !== undefined && version <= known) {
      this.#fail(`${key} went from version ${known} to ${version} in line ${n}`)
    }
    this.#undos.push({ n, key, version: known })
    this.#versions.set(key, version)
  }

  #rule({ user, device, id, status }: ServerOutcome): void {
    const key = `${user} ${device} ${id}`
    const known = this.#verdicts.get(key)
    if (known !== undefined && known !== status)
      this.#fail(`the verdict on ${id} changed from ${known} to ${status}`)
    this.#verdicts.set(key, status)
  }
}
