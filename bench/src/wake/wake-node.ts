/** A node that tells its parent of every scope that another node moved. Gone when its parent is. */
import { createEngine, postgresStore, type PostgresStoreOptions } from '@holdfast/server'

import { wakeSchema } from './wake-schema.ts'

/** A scope that was heard of, and when: ms since 1970, with fractions. */
export interface Heard {
  readonly scope: string
  readonly atMs: number
}

// Its only caller writes the argument in this shape.
const options = JSON.parse(process.argv[2] ?? '') as PostgresStoreOptions
const engine = await createEngine({ schema: wakeSchema, store: postgresStore(options), scopes: () => '*' })
engine.subscribe(({ scopes }) => {
  const atMs = performance.timeOrigin + performance.now()
  if (scopes !== '*') for (const scope of scopes) process.send?.({ scope, atMs } satisfies Heard)
})
process.on('disconnect', () => process.exit(0))
process.send?.({ scope: '', atMs: 0 } satisfies Heard)
