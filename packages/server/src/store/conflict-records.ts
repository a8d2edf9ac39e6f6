import { assert, isJsonArray, isObject, type Values } from '@holdfast/core'

/** A record whose values a conflict shows. */
export interface ConflictRecord {
  readonly collection: string
  readonly record: string
}

/**
 * The records whose values a conflict shows: those of its parts and, over a unique key, the other record that has it. It
 * lies where all of them do. Rules: FE-10, SC-4.
 */
export function conflictRecords({ parts }: Values): readonly ConflictRecord[] {
  assert(isJsonArray(parts), 'a conflict has parts')
  return parts.flatMap((part) => {
    assert(isObject(part), 'a part of a conflict is an object')
    const { collection, record, theirs } = part
    assert(typeof collection === 'string' && typeof record === 'string', 'a part names its record')
    // No field is called id: theirs has one where it is another record.
    const other = isObject(theirs) ? theirs['id'] : undefined
    return [{ collection, record }, ...(typeof other === 'string' ? [{ collection, record: other }] : [])]
  })
}
