import { defineConfig } from 'vitest/config'

const sources = '{packages,apps}/*/src/**'
const globalSetup = 'packages/testing/src/services/shared-servers.ts'
const servicesTests = `${sources}/*.pg.test.ts`

export default defineConfig({
  test: {
    // Forks, because native SQLite drivers and tests that crash a process on purpose must not share one with others.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    retry: 0,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [`${sources}/*.test.ts`, 'bench/src/**/*.test.ts', 'tools/src/**/*.test.ts'],
          exclude: [servicesTests],
        },
      },
      {
        // What needs a PostgreSQL or a Redis; all files share one of each.
        extends: true,
        test: {
          name: 'services',
          include: [servicesTests],
          env: { HOLDFAST_ENGINE_ON: 'postgres' },
          globalSetup,
        },
      },
      {
        // Tests that know no store, on PostgreSQL. Others of the engine name versions as SQLite numbers them, or open its file.
        extends: true,
        test: {
          name: 'engine on postgres',
          include: [
            'packages/server/src/{push,pull,audit,feed,events,escrow}/*.test.ts',
            'packages/testing/src/end-to-end/*.test.ts',
          ],
          exclude: [servicesTests],
          env: { HOLDFAST_ENGINE_ON: 'postgres' },
          globalSetup,
        },
      },
    ],
  },
})
