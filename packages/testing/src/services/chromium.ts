import { delimiter, join } from 'node:path'

import { findProgram, isExecutable } from './debian-package.ts'
import { MissingService } from './missing-service.ts'

/** The browser that the tests run in. */
const program = { name: 'chromium', debianPackage: 'chromium', otherwise: 'set CHROMIUM_PATH' } as const

/** How Chromium is started by tests: without a sandbox, because they may run as root, and silent on the network. */
export const chromiumArguments: readonly string[] = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
]

/** Where Chromium lies, or would lie if there were one. Installs nothing. */
export function chromiumPath(): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const found = folders.map((folder) => join(folder, program.name)).find(isExecutable)
  return process.env['CHROMIUM_PATH'] ?? found ?? '/usr/bin/chromium'
}

/** Whether there is a Chromium to run tests in. */
export function hasChromium(): boolean {
  return isExecutable(chromiumPath())
}

/** Sees to it that there is a Chromium. Root on Debian gets it installed; false when it cannot be had, which is said. */
export function ensureChromium(): boolean {
  if (hasChromium()) return true
  try {
    findProgram(program)
    return true
  } catch (error) {
    // With CI=true nothing may be skipped unseen.
    if (!(error instanceof MissingService) || process.env['CI'] === 'true') throw error
    process.stderr.write(`${error.message}\n`)
    return false
  }
}
