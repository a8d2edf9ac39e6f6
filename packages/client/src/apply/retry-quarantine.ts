import type { Schema } from '@holdfast/core'

import type { LocalTransaction } from '../local/local-database.ts'
import { readMeta } from '../local/meta.ts'
import { applyPages, numberScopes } from './apply-pages.ts'
import { RecordsToRebase } from './records-to-rebase.ts'
import { stageReadable } from './quarantine.ts'
import { rebaseRecord } from './rebase-record.ts'

/** After an update of the app, rows it could not read before may fit; looked at once for each schema. Rules: AP-5. */
export async function retryQuarantine(tx: LocalTransaction, schema: Schema): Promise<void> {
  if ((await readMeta(tx, 'sync.quarantine')) === schema.version) return
  const note = await stageReadable(tx, schema)
  if (!note) return
  const toRebase = new RecordsToRebase()
  await numberScopes(tx, [note])
  const checkpoint = (): void => undefined
  await applyPages(tx, { schema, notes: [note], toRebase, promoted: new Map(), checkpoint })
  await tx.run('DELETE FROM _staging WHERE n = ?', [note.page])
  for (const { collection: name, record, hasLeft } of toRebase.all()) {
    const collection = schema.collections.get(name)
    if (collection) await rebaseRecord(tx, { collection, record, hasLeft })
  }
}
