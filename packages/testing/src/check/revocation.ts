import type { Checker } from './checker.ts'
import type { Observation, ScopesLeft } from './observation.ts'

/** Rows that are named of one device; there may be thousands. */
const namedMost = 3

/**
 * What a device may not see any more is gone with the commit that says so, from its tables and from the bytes of its
 * file. Own mutations are left out: what somebody wrote stays his. Rules: SIM-88.
 */
export const revocation: Checker = {
  name: 'revocation',
  promise: 'A scope that is taken away takes its rows with it, at once.',
  start: (fail) => {
    const watch = new EraseWatch(fail)
    return (o) => watch.observe(o)
  },
}

class EraseWatch {
  readonly #fail: (message: string) => void
  /**
   * By disk, the keys of its own mutations, of their transactions and of the records they are about. SQLite leaves some
   * entries of the outbox in pages whose rows it moved.
   */
  readonly #own = new Map<string, Set<string | null>>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    if (o.kind === 'entry-written') this.#ownOf(o.disk).add(o.id).add(o.group).add(o.record)
    else if (o.kind === 'entry-moved') this.#ownOf(o.disk).add(o.to.id)
    else if (o.kind === 'device-copied') this.#own.set(o.to, new Set(this.#ownOf(o.disk)))
    else if (o.kind === 'scopes-left') this.#check(o)
  }

  #ownOf(disk: string): Set<string | null> {
    let own = this.#own.get(disk)
    if (own === undefined) this.#own.set(disk, (own = new Set()))
    return own
  }

  #check({ disk, scopes, kept, ghosts }: ScopesLeft): void {
    const own = this.#ownOf(disk)
    const left = [...kept, ...ghosts.filter((id) => !own.has(id)).map((id) => `bytes of ${id}`)]
    if (left.length === 0) return
    const named = left.slice(0, namedMost).join(', ')
    this.#fail(`${disk} gave up ${scopes.join(', ')} and still holds ${left.length} of their rows: ${named}`)
  }
}
