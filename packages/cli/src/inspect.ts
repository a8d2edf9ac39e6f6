import { DatabaseSync } from 'node:sqlite'

import { CommandError, firstLine } from './command-error.ts'
import { type DatabaseReport, readReport } from './database-report.ts'
import { findDatabases } from './find-databases.ts'
import { formatTable, plainText } from './format-table.ts'
import type { Output } from './output.ts'

/** What `runInspect` is given. */
export interface InspectOptions {
  readonly folder?: string
  readonly json?: boolean
}

/** `holdfast inspect`: shows the databases of a folder, opened read-only. One that cannot be read is told of after the others. Rules: OP-27. */
export async function runInspect({ folder, json }: InspectOptions, output: Output): Promise<number> {
  if (folder === undefined) throw new CommandError('inspect needs a folder. Try: holdfast help inspect')
  const failures: string[] = []
  const reports = findDatabases(folder).flatMap((file) => {
    try {
      return readFileReport(file) ?? []
    } catch (error) {
      failures.push(firstLine(error))
      return []
    }
  })
  if (reports.length === 0 && failures.length === 0)
    throw new CommandError(`${folder} holds no database of Holdfast.`)
  if (json === true) output.line(JSON.stringify({ databases: reports }, null, 2))
  else for (const report of reports) print(report, output)
  if (failures.length > 0) throw new CommandError(failures.join('; '))
  return 0
}

function readFileReport(file: string): DatabaseReport | undefined {
  const database = openReadOnly(file)
  try {
    return readReport(file, database)
  } catch (cause) {
    throw new CommandError(`${file} cannot be read: ${firstLine(cause)}`, { cause })
  } finally {
    database.close()
  }
}

function openReadOnly(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { readOnly: true })
  } catch (cause) {
    throw new CommandError(`${file} cannot be opened: ${firstLine(cause)}`, { cause })
  }
}

function print({ file, kind, facts, tables }: DatabaseReport, { line, colors }: Output): void {
  line(`${colors.bold(file)} ${colors.dim(`(${kind} database)`)}`)
  for (const [name, value] of Object.entries(facts))
    line(`  ${colors.dim(plainText(name))}  ${plainText(value)}`)
  for (const { title, total, rows } of tables) {
    line('')
    line(`  ${colors.bold(title)} ${colors.dim(String(total))}`)
    for (const text of formatTable(rows)) line(`    ${text}`)
    if (rows.length < total) line(colors.dim(`    … and ${total - rows.length} more`))
  }
  line('')
}
