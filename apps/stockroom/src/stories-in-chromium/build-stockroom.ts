import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { TestProject } from 'vitest/node'

import { buildApp } from '../warehouse/web-app.ts'

/** Builds the app once for all tests that open it. */
export default async function setUp(project: TestProject): Promise<() => void> {
  const outDir = mkdtempSync(join(tmpdir(), 'holdfast-stockroom-app-'))
  await buildApp(outDir)
  project.provide('stockroom', outDir)
  return () => rmSync(outDir, { recursive: true, force: true })
}
