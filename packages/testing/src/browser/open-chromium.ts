import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type BrowserContext, chromium } from 'playwright'

import { chromiumArguments, chromiumPath } from '../services/chromium.ts'

/** A browser with a profile on the disk, as people have: without one what is stored lives in memory. */
export interface OpenChromium {
  readonly context: BrowserContext
  /** Where the profile lies. */
  readonly profile: string
  /** Ends it and removes its profile. */
  close(): Promise<void>
}

/** Starts Chromium without a window. */
export async function openChromium(): Promise<OpenChromium> {
  const profile = mkdtempSync(join(tmpdir(), 'holdfast-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: chromiumPath(),
    headless: true,
    args: [...chromiumArguments],
  })
  // As long as a slow machine may take; Playwright's own half minute is not.
  context.setDefaultTimeout(120_000)
  const close = async (): Promise<void> => {
    await context.close()
    rmSync(profile, { recursive: true, force: true })
  }
  return { context, profile, close }
}
