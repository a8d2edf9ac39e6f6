import { createHash } from 'node:crypto'

import { expect, test } from 'vitest'

import { postgresLayout, systemTables } from './system-tables.ts'

test('[MI-14] tables of another shape have a layout of another number', () => {
  const digest = createHash('sha256').update(systemTables.join('\n')).digest('hex').slice(0, 16)
  // Both change together: a database that has the number and not the tables would be taken for prepared.
  expect({ layout: postgresLayout, digest }).toEqual({ layout: 7, digest: '353abb2d10e27220' })
})
