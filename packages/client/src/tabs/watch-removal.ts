import { resultOf } from '../drivers/idb-request.ts'

/** An empty database: a connection to it is closed by the browser when it removes what the origin has stored. */
const witness = 'holdfast witness'

/**
 * Calls `onRemoved` when a person, the server or the browser removes what this origin has stored, until the returned
 * function is called. Files that are open go on taking what is written to them then, and the locks of this page mean
 * nothing to pages that are opened later. Rules: BR-18. Source: https://www.w3.org/TR/IndexedDB/#closing-connection
 */
export function watchRemoval(onRemoved: () => void): () => void {
  const watching = watch(onRemoved).catch(() => undefined)
  return () => void watching.then((opened) => opened?.close())
}

async function watch(onRemoved: () => void): Promise<IDBDatabase> {
  const opened = await resultOf(indexedDB.open(witness))
  opened.addEventListener('close', onRemoved)
  // Nobody who wants to remove this one has to wait for a page.
  opened.addEventListener('versionchange', () => opened.close())
  return opened
}
