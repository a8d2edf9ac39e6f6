import type { Explanation } from '@holdfast/client'
import { type Json, jsonEqual, type Values } from '@holdfast/core'
import type { ReactElement } from 'react'

import { useHoldfast } from '../holdfast-context.ts'
import type { Place } from './outbox-panel.tsx'
import { useExplanation, useInspection } from './use-inspection.ts'

/** Why a record is as it is: what the app sees beside what the server has, and every mutation between them. */
export function RecordPanel({
  place,
  onRecord,
}: {
  readonly place: Place
  readonly onRecord: (place: Place) => void
}): ReactElement {
  const { schema } = useHoldfast()
  const inspected = useInspection()
  const record = place.record.trim()
  const isWhole = /^[0-9a-f-]{36}$/.test(record)
  const explanation = useExplanation(isWhole ? { collection: place.collection, record } : null)
  return (
    <>
      <div className="holdfast-inspector__row">
        <label>
          Collection{' '}
          <select
            className="holdfast-input"
            value={place.collection}
            onChange={(event) => onRecord({ ...place, collection: event.target.value })}
          >
            {[...schema.collections.keys()].map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label>
          Record{' '}
          <input
            className="holdfast-input"
            value={place.record}
            placeholder="id"
            list="holdfast-shadows"
            onChange={(event) => onRecord({ ...place, record: event.target.value })}
          />
        </label>
        <datalist id="holdfast-shadows">
          {inspected?.inspection.shadows
            .filter(({ collection }) => collection === place.collection)
            .map((shadow) => (
              <option key={shadow.record} value={shadow.record} />
            ))}
        </datalist>
      </div>
      {explanation === undefined ? (
        <p className="holdfast-hint">Give the id of a record, or choose one in the outbox.</p>
      ) : (
        <Explained explanation={explanation} />
      )}
    </>
  )
}

function Explained({ explanation }: { readonly explanation: Explanation }): ReactElement {
  const { view, shadow, state, mutations } = explanation
  const { snapshot } = shadow
  const known: Values | null = snapshot.kind === 'absent' ? null : snapshot.values
  const names = [...new Set([...Object.keys(view ?? {}), ...Object.keys(known ?? {})])]
  const version = snapshot.kind === 'absent' ? '' : `, version ${snapshot.version}`
  return (
    <>
      <p>
        {`The app sees ${view === null ? 'no such record' : `it as ${state ?? 'unknown'}`}; the server's copy is ${snapshot.kind}${version}.`}
      </p>
      <ol className="holdfast-inspector__why">
        {mutations.map(({ entry, why }) => (
          <li key={entry.id}>
            <code className="holdfast-code">{`#${entry.seq}`}</code> {why}
          </li>
        ))}
      </ol>
      <table className="holdfast-inspector__table">
        <caption className="holdfast-hidden">The record as the app sees it and as the server has it</caption>
        <thead>
          <tr>
            <th scope="col">field</th>
            <th scope="col">the app sees</th>
            <th scope="col">the server has</th>
          </tr>
        </thead>
        <tbody>
          {names.map((name) => (
            <tr
              key={name}
              data-differs={!jsonEqual(view?.[name] ?? null, known?.[name] ?? null) || undefined}
            >
              <th scope="row">{name}</th>
              <td>{spelled(view?.[name])}</td>
              <td>{spelled(known?.[name])}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

function spelled(value: Json | undefined): string {
  return value === undefined ? '–' : JSON.stringify(value)
}
