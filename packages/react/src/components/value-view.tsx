import type { FieldSchema, Json } from '@holdfast/core'
import type { ReactElement, ReactNode } from 'react'

import { useHoldfast } from '../holdfast-context.ts'
import { useFormat } from '../format/use-format.ts'

/** A value and where it stands, for whoever shows it. */
export interface ShownValue {
  readonly value: Json
  readonly collection: string
  /** Name of the field. */
  readonly field: string
}

/** Shows a value in a way of the app's own; undefined leaves it to the usual one. */
export type RenderValue = (shown: ShownValue) => ReactNode

/** The field of a collection, if the schema has it. */
export function useFieldSchema(collection: string, field: string): FieldSchema | undefined {
  return useHoldfast().schema.collections.get(collection)?.fieldsByName.get(field)
}

/** A value as a person reads it. */
export function ValueView({
  renderValue,
  ...shown
}: ShownValue & { readonly renderValue?: RenderValue }): ReactElement {
  const { labels } = useHoldfast()
  const format = useFormat()
  const kind = useFieldSchema(shown.collection, shown.field)?.kind
  const own = renderValue?.(shown)
  const { value } = shown
  if (own !== undefined) return <>{own}</>
  if (value === null || value === '') return <span className="holdfast-empty">{labels.conflict.empty}</span>
  if (typeof value === 'boolean') return <>{value ? labels.conflict.yes : labels.conflict.no}</>
  if (typeof value === 'number') return <>{format.exactNumber(value)}</>
  if (typeof value === 'string')
    return <span className="holdfast-text">{kind === 'timestamp' ? format.exactDateTime(value) : value}</span>
  if (kind === 'attachment' && 'size' in value) {
    const name = 'name' in value && typeof value.name === 'string' ? value.name : ''
    return <>{`${name} ${format.bytes(Number(value.size))}`.trim()}</>
  }
  if (Array.isArray(value) && value.every(isScalar)) return <List members={value} />
  return <pre className="holdfast-json">{JSON.stringify(value, null, 2)}</pre>
}

type Scalar = string | number | boolean

function isScalar(member: Json): member is Scalar {
  return typeof member === 'string' || typeof member === 'number' || typeof member === 'boolean'
}

function List({ members }: { readonly members: readonly Scalar[] }): ReactElement {
  const { labels } = useHoldfast()
  if (members.length === 0) return <span className="holdfast-empty">{labels.conflict.empty}</span>
  return (
    <span className="holdfast-chips">
      {members.map((member) => (
        <span key={String(member)} className="holdfast-chip">
          {String(member)}
        </span>
      ))}
    </span>
  )
}
