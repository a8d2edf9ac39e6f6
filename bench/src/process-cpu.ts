import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Ticks of /proc in a second: 100 on every Linux there is a Node for. */
const ticksPerSecond = 100

/** CPU time that a PostgreSQL has taken with all its processes since it started, ms; 0 where there is no /proc. */
export function postgresCpuMs(dataDir: string | undefined): number {
  if (dataDir === undefined || process.platform !== 'linux') return 0
  const main = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0] ?? ''
  let ticks = 0
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const [, parent, user, system, childUser, childSystem] = readStat(pid)
    // Those that have ended count with the main one.
    if (pid === main) ticks += user + system + childUser + childSystem
    else if (parent === Number(main)) ticks += user + system
  }
  return (1_000 * ticks) / ticksPerSecond
}

/** State, parent, and the ticks of a process and of its children. */
function readStat(pid: string): readonly [string, number, number, number, number, number] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in brackets, may hold spaces.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const at = (index: number): number => Number(fields[index] ?? 0)
    return [fields[0] ?? '', at(1), at(11), at(12), at(13), at(14)]
  } catch {
    // It ended in between.
    return ['', 0, 0, 0, 0, 0]
  }
}
