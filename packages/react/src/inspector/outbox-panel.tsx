import type { Entry } from '@holdfast/client'
import { type ReactElement, useState } from 'react'

import { useOutbox } from '../hooks/use-outbox.ts'
import { useSyncStatus } from '../hooks/use-sync-status.ts'

/** A record to look at. */
export interface Place {
  readonly collection: string
  readonly record: string
}

/** What is in the outbox, entry by entry. */
export function OutboxPanel({ onRecord }: { readonly onRecord: (place: Place) => void }): ReactElement {
  const { entries, status: reading, error } = useOutbox()
  const status = useSyncStatus()
  if (entries.length === 0) {
    const files = status?.attachments.uploads
    if (reading !== 'ready' || files === undefined)
      return <p className="holdfast-hint">{error === null ? 'Reading…' : error.message}</p>
    return (
      <p className="holdfast-hint">
        {files === 0
          ? 'The outbox is empty: the server has everything.'
          : `The outbox is empty; files that are to be sent: ${files}.`}
      </p>
    )
  }
  return (
    <>
      <table className="holdfast-inspector__table">
        <caption className="holdfast-hidden">Outbox entries</caption>
        <thead>
          <tr>
            {['#', 'what', 'record', 'status', 'tries', 'written', ''].map((head) => (
              <th key={head} scope="col">
                {head === '' ? <span className="holdfast-hidden">details</span> : head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <EntryRow key={entry.id} entry={entry} onRecord={onRecord} />
          ))}
        </tbody>
      </table>
      {status !== undefined && status.pendingCount > entries.length ? (
        <p className="holdfast-hint">{`The first ${entries.length} of ${status.pendingCount}.`}</p>
      ) : null}
    </>
  )
}

function EntryRow({
  entry,
  onRecord,
}: {
  readonly entry: Entry
  readonly onRecord: (place: Place) => void
}): ReactElement {
  const [isOpen, setOpen] = useState(false)
  const { seq, op, collection, record, status, attempts, createdAt, error } = entry
  return (
    <>
      <tr data-status={status}>
        <td>{seq}</td>
        <td>{`${op} ${collection}`}</td>
        <td>
          <button type="button" className="holdfast-link" onClick={() => onRecord({ collection, record })}>
            {record.slice(0, 8)}…
          </button>
        </td>
        <td>
          <span className="holdfast-inspector__status" data-status={status}>
            {status}
          </span>
          {error === null ? null : <code className="holdfast-code">{` ${error.code}`}</code>}
        </td>
        <td>{attempts}</td>
        <td>{createdAt.slice(11, 19)}</td>
        <td>
          <button
            type="button"
            className="holdfast-link"
            aria-expanded={isOpen}
            onClick={() => setOpen(!isOpen)}
          >
            {isOpen ? 'less' : 'more'}
            <span className="holdfast-hidden">{` about entry ${seq}`}</span>
          </button>
        </td>
      </tr>
      {isOpen ? (
        <tr>
          <td colSpan={7}>
            <pre className="holdfast-json">{JSON.stringify(entry, null, 2)}</pre>
          </td>
        </tr>
      ) : null}
    </>
  )
}
