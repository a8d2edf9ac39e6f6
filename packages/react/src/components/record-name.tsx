import type { Values } from '@holdfast/core'
import type { ReactElement } from 'react'

import { useHoldfast } from '../holdfast-context.ts'
import { useRecord } from '../hooks/use-record.ts'

/** Fields that name a record, as people call them. */
const namingFields = ['name', 'title', 'label', 'subject', 'code', 'sku']

/** What a record is called: a text field that names it in the first of these that has one, else the beginning of its id. */
export function recordName(record: string, values: readonly (Values | null | undefined)[]): string {
  for (const side of values) {
    for (const field of namingFields) {
      const value = side?.[field]
      if (typeof value === 'string' && value !== '') return value
    }
  }
  return record.slice(0, 8)
}

/** What `RecordName` takes. */
export interface RecordNameProps {
  readonly collection: string
  readonly record: string
  /** What is known of it beside what the device shows, such as of a record that is gone. */
  readonly values: readonly (Values | null)[]
}

/** What a record is called, as the device shows it now. */
export function RecordName({ collection, record, values }: RecordNameProps): ReactElement {
  const isKnown = useHoldfast().schema.collections.has(collection)
  const shown = useRecord<Values>(collection, isKnown ? record : null)
  return <>{recordName(record, [shown.record, ...values])}</>
}
