import { expect, test } from 'vitest'

import { chaosSummary, runChaos } from './run-chaos.ts'

const isNightly = process.env['HOLDFAST_NIGHTLY'] === '1'
const kills = isNightly ? 300 : 20

test(
  `[SIM-67] [PR-1] [PR-3] ${kills} real processes are killed, and no acknowledged write is lost, doubled or torn`,
  async () => {
    const report = await runChaos({ seed: isNightly ? Date.now() % 2 ** 31 : 1, kills })
    const summary = chaosSummary(report)
    if (isNightly) process.stdout.write(`${summary}\n`)
    // The summary says everything there is to know, the seed and the folder first of all.
    expect(report.violations.length === 0 ? '' : summary).toBe('')
    expect(report.kills.devices + report.kills.server).toBeGreaterThanOrEqual(kills)
    expect(report.kills.server).toBeGreaterThan(0)
    expect(report.writes.durable).toBeGreaterThan(10 * kills)
    const struck = Object.entries(report.faults).filter(([kind, count]) => kind !== 'pass' && count > 0)
    expect(struck.length).toBeGreaterThan(0)
  },
  isNightly ? 1_800_000 : 180_000,
)
