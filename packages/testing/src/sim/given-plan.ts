import { healthy } from './network.ts'
import type { Plan, Step } from './plan.ts'

/** For tests: two devices of two users of one tenant on a good network; steps come ten virtual seconds apart. */
export function planOf(steps: readonly Omit<Step, 'atMs'>[]): Plan {
  const device = { tenant: 0, durability: 'full', clockOffsetMs: 0, clockDriftPpm: 0 } as const
  return {
    version: 1,
    seed: 5,
    tenants: 1,
    devices: [
      { ...device, user: 0 },
      { ...device, user: 1 },
    ],
    network: healthy(40),
    storage: { deviceFull: 0, serverFull: 0, slow: 0 },
    steps: steps.map((step, index) => ({ ...step, atMs: (index + 1) * 10_000 })),
    chaosMs: (steps.length + 1) * 10_000,
  }
}
