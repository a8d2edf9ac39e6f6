import type { Checker } from './checker.ts'

/** After the last fault everything is settled within this, virtual ms. */
const quietMs = 60_000

/** What has to come to rest does so in time. Rules: SIM-37. */
export const liveness: Checker = {
  name: 'liveness',
  promise: 'Within a minute after all faults are over, nothing is left to do.',
  start: (fail) => {
    let healedAtMs: number | null = null
    let withinMs = quietMs
    return (o) => {
      if (o.kind === 'healed') {
        healedAtMs = o.atMs
        withinMs = o.withinMs ?? quietMs
      }
      if (o.kind !== 'end' || healedAtMs === null) return
      const unrest = o.unrest.length === 0 ? 'nothing is named' : o.unrest.join('; ')
      if (o.quietAtMs === null) fail(`there was no rest after healing: ${unrest}`)
      else if (o.quietAtMs - healedAtMs > withinMs) {
        fail(`rest came ${o.quietAtMs - healedAtMs} ms after healing, more than ${withinMs} ms: ${unrest}`)
      }
    }
  },
}
