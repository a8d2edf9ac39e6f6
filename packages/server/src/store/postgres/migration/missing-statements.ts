import type { Connection } from '../connection.ts'
import type { MigrationStep } from './steps.ts'

/** A statement that is needed, and what it does. */
interface Needed {
  readonly says: string
  readonly sql: string
  /** Whether nothing of the name was there. */
  readonly isNew: boolean
}

const functionPattern = /^CREATE OR REPLACE FUNCTION holdfast\.("[^"]+"|\w+)\(.*?AS \$\$(.*)\$\$$/s
const dropPattern = /^DROP TRIGGER IF EXISTS (\S+) ON (.+)$/
const executePattern = /EXECUTE FUNCTION (.+)\(\)$/

/**
 * Of statements that make functions and triggers, those whose function has another text, or whose trigger is missing,
 * disabled or calls another function.
 */
async function missingStatements(db: Connection, statements: readonly string[]): Promise<readonly Needed[]> {
  const known = await functionTexts(db)
  const needed: Needed[] = []
  for (const [index, sql] of statements.entries()) {
    const made = functionPattern.exec(sql)
    const dropped = dropPattern.exec(sql)
    if (made) {
      const name = unquoted(made[1] ?? '')
      const text = known.get(name)
      if (text !== made[2])
        needed.push({
          says: `${text === undefined ? 'make' : 'renew'} the function holdfast.${name}`,
          sql,
          isNew: text === undefined,
        })
    } else if (dropped) {
      const next = statements[index + 1] ?? ''
      const [, name = '', table = ''] = dropped
      const does = executePattern.exec(next)?.[1] ?? ''
      const state = await triggerState(db, { name, table, does })
      if (state !== 'well')
        needed.push({
          says: `${verbs[state]} the trigger ${name} on ${table}`,
          sql: `${sql};\n${next}`,
          isNew: state === 'missing',
        })
    }
  }
  return needed
}

/** As steps of a plan: where nothing was there, one step says it all. */
export async function captureSteps(
  db: Connection,
  statements: readonly string[],
  says: string,
): Promise<readonly MigrationStep[]> {
  const needed = await missingStatements(db, statements)
  const all = statements.filter((sql) => functionPattern.test(sql) || dropPattern.test(sql)).length
  const isAll = needed.length === all && needed.every(({ isNew }) => isNew)
  const steps = isAll ? [{ says, sql: needed.map(({ sql }) => sql).join(';\n') }] : needed
  return steps.map((step) => ({ kind: 'structure', says: step.says, sql: step.sql }))
}

const verbs = { missing: 'put', disabled: 'enable', other: 'renew' }

interface Trigger {
  readonly name: string
  readonly table: string
  readonly does: string
}

async function triggerState(
  db: Connection,
  { name, table, does }: Trigger,
): Promise<'well' | keyof typeof verbs> {
  const row = await db.get(
    `SELECT tgenabled IN ('O', 'A') AS enabled, tgfoid = to_regproc($3)::oid AS same FROM pg_trigger
     WHERE tgrelid = to_regclass($1) AND tgname = $2 AND NOT tgisinternal`,
    table,
    name,
    does,
  )
  if (!row) return 'missing'
  if (row['enabled'] !== true) return 'disabled'
  return row['same'] === true ? 'well' : 'other'
}

async function functionTexts(db: Connection): Promise<ReadonlyMap<string, string>> {
  const rows = await db.all(
    `SELECT p.proname::text AS name, p.prosrc AS text FROM pg_proc p
     JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'holdfast'`,
  )
  return new Map(rows.map((row) => [String(row['name']), String(row['text'])]))
}

function unquoted(name: string): string {
  return name.replace(/^"|"$/g, '')
}
