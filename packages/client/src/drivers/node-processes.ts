import { hostname } from 'node:os'

import type { ProcessTable } from './sqlite-driver.ts'

/**
 * Node's processes. One of another host, or of another container that shares the file, may well be alive: nothing is
 * said of those.
 */
export const nodeProcesses: ProcessTable = {
  self: `${process.pid} ${hostname()}`,
  isGone(name) {
    const [pid = '', ...host] = name.split(' ')
    if (host.join(' ') !== hostname()) return false
    try {
      // Signal 0 is never delivered; it only asks whether there is anybody to deliver it to.
      process.kill(Number(pid), 0)
      return false
    } catch (error) {
      return error instanceof Error && 'code' in error && error.code === 'ESRCH'
    }
  },
}
