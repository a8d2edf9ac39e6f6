import type { Checker } from './checker.ts'
import type { DeviceDump, Observation } from './observation.ts'
import { marksOf } from './scope-marks.ts'

/**
 * No byte of a tenant reaches somebody who may not see it, in whatever answer, and none stays in a device's file. What a
 * user wrote himself stays his: unsent edits, and conflicts he is the author of. Rules: SIM-38.
 */
export const scopeIsolation: Checker = {
  name: 'scope-isolation',
  promise: 'Nobody is sent, and nobody keeps, a value outside their scopes.',
  start: (fail) => {
    const watch = new MarkWatch(fail)
    return (o) => watch.observe(o)
  },
}

class MarkWatch {
  readonly #fail: (message: string) => void
  readonly #marks = new Map<string, ReadonlySet<string> | '*'>()
  readonly #grants = new Map<string, ReadonlySet<string>>()
  /** By user, what they could see at any time. */
  readonly #everMarks = new Map<string, Set<string>>()
  /** Users with a conflict of their own, which shows them what they disputed for ever. */
  readonly #authors = new Set<string>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    switch (o.kind) {
      case 'grants': {
        const marks = marksOf(o.scopes)
        this.#marks.set(o.user, marks)
        this.#grants.set(o.user, new Set([...o.scopes, 'global', `~user:${o.user}`]))
        const ever = this.#everMarks.get(o.user) ?? new Set()
        if (marks !== '*') for (const mark of marks) ever.add(mark)
        this.#everMarks.set(o.user, ever)
        return
      }
      case 'outcome':
        if (o.status === 'conflict') this.#authors.add(o.user)
        return
      case 'response':
        for (const mark of o.scopesSeen) {
          if (!this.#maySee(o.user, mark)) {
            this.#fail(`an answer of ${o.route} (${o.status}) shows ${o.user} something of ${mark}`)
          }
        }
        for (const scope of o.scopesServed ?? []) {
          const granted = this.#grants.get(o.user)
          if (granted && !granted.has(scope) && !granted.has('*'))
            this.#fail(
              `an answer of ${o.route} (${o.status}) serves ${o.user} ${scope}, which was not granted`,
            )
        }
        return
      case 'end':
        for (const dump of o.devices) this.#checkFile(dump)
        return
      default:
        return
    }
  }

  #maySee(user: string, mark: string): boolean {
    const marks = this.#marks.get(user)
    if (marks === '*' || marks?.has(mark)) return true
    return this.#authors.has(user) && this.#everMarks.get(user)?.has(mark) === true
  }

  #checkFile({ disk, user, grants, scopesSeen, outbox }: DeviceDump): void {
    const granted = marksOf(grants)
    for (const mark of scopesSeen) {
      if (granted === '*' || granted.has(mark) || this.#maySee(user, mark)) continue
      if (outbox.some(({ payload }) => JSON.stringify(payload).includes(mark))) continue
      this.#fail(`the file of ${disk} still has something of ${mark}, which ${user} may not see`)
    }
  }
}
