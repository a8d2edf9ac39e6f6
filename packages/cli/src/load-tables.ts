import type { TableMapping, TableMappings } from '@holdfast/server'
import { readFileSync } from 'node:fs'

import { CommandError, firstLine } from './command-error.ts'

/** Which tables and columns are called otherwise, from a JSON file. Errors: CommandError. */
export function loadTables(file: string | undefined): TableMappings {
  if (file === undefined) return {}
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new CommandError(`tables file ${file} cannot be read: ${firstLine(cause)}`, { cause })
  }
  if (isRecord(value) && Object.values(value).every(isMapping)) return value as TableMappings
  throw new CommandError(
    `tables file ${file} is not of the form { "items": { "table": "shop.products", "columns": { "name": "title" } } }.`,
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isMapping(value: unknown): value is TableMapping {
  if (!isRecord(value)) return false
  const { table, columns, ...others } = value
  return (
    Object.keys(others).length === 0 &&
    (table === undefined || typeof table === 'string') &&
    (columns === undefined ||
      (isRecord(columns) && Object.values(columns).every((name) => typeof name === 'string')))
  )
}
