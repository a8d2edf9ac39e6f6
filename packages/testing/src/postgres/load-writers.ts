import type { PushResult } from '@holdfast/core'
import type { Client } from 'pg'

import type { AppendLevel } from '../check/append-cycles.ts'
import type { SeededRandom } from '../seeded-random.ts'
import { type GivenWarehouse, newId, type PushedChange, type Reader } from './given-warehouse.ts'

export const warehouses = 6
const listsPerWarehouse = 2

/** Items whose names are lists of tokens. Whoever writes several takes them in this order, so that no row locks wait in a circle. */
export const lists: readonly { readonly id: string; readonly warehouse: string }[] = Array.from(
  { length: warehouses * listsPerWarehouse },
  (_, at) => ({ id: newId(), warehouse: `${(at % warehouses) + 1}` }),
)

/** What one transaction of a writer has at hand, and where it notes what it appends and reads. */
export interface Turn {
  readonly warehouse: GivenWarehouse
  readonly random: SeededRandom
  readonly client: Client
  readonly reader: Reader
  readonly appends: { list: string; token: string }[]
  readonly reads: { list: string; tokens: readonly string[] }[]
}

/** A kind of writer: one transaction, which throws when it is refused, and what it was promised of its reads. */
export interface WriterKind {
  readonly name: string
  readonly level: AppendLevel
  readonly work: (turn: Turn) => Promise<void>
}

export function between(random: SeededRandom, least: number, most: number): number {
  return least + random.below(most - least + 1)
}

export function tokensOf(name: unknown): readonly string[] {
  return typeof name === 'string' && name !== '' ? name.split(',') : []
}

/** Serialization failures, deadlocks, races that the store gave up, and what somebody was faster with. */
export function isRefusal(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  return ['40001', '40P01', 'STORE_BUSY', 'REFUSED'].includes(String(code))
}

function tooLate(): Error {
  return Object.assign(new Error('somebody was faster'), { code: 'REFUSED' })
}

function token({ appends }: Turn, list: string): string {
  const made = newId().slice(-17)
  appends.push({ list, token: made })
  return made
}

async function append(turn: Turn, list: string): Promise<void> {
  const sql = `UPDATE items SET name = concat_ws(',', nullif(name, ''), $2::text) WHERE id = $1 RETURNING name`
  const { rows } = await turn.client.query<{ name: string }>(sql, [list, token(turn, list)])
  turn.reads.push({ list, tokens: tokensOf(rows[0]?.name) })
}

/** Reads other lists than those that are appended to, as any query of a host does. */
async function look(turn: Turn, ids: readonly string[]): Promise<void> {
  const sql = 'SELECT id::text, name FROM items WHERE id = ANY($1::uuid[])'
  const { rows } = await turn.client.query<{ id: string; name: string }>(sql, [ids])
  for (const { id, name } of rows) turn.reads.push({ list: id, tokens: tokensOf(name) })
}

function someLists({ random }: Turn, count: number): readonly string[] {
  const picked = new Set(Array.from({ length: count }, () => between(random, 0, lists.length - 1)))
  return [...picked].sort((left, right) => left - right).map((at) => lists[at]?.id ?? '')
}

async function pause({ random }: Turn, mostMs: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, between(random, 0, mostMs)))
}

async function appendInSeveralLists(turn: Turn): Promise<void> {
  await turn.client.query('BEGIN')
  for (const list of someLists(turn, 3)) {
    await append(turn, list)
    if (between(turn.random, 0, 3) === 0) await turn.client.query('SET CONSTRAINTS ALL IMMEDIATE')
  }
  await turn.client.query('COMMIT')
}

async function appendAroundSavepoint(turn: Turn): Promise<void> {
  const [first = '', second = first] = someLists(turn, 2)
  await turn.client.query('BEGIN')
  await append(turn, first)
  await turn.client.query(
    `SAVEPOINT s; UPDATE items SET stock = stock + 1 WHERE name = 'plain' AND warehouse = '1'; ROLLBACK TO s`,
  )
  if (second !== first) await append(turn, second)
  await turn.client.query('COMMIT')
}

/** Reads two lists in one moment and appends to others. */
async function readAndAppend(turn: Turn, level: string): Promise<void> {
  await turn.client.query(`BEGIN ISOLATION LEVEL ${level}`)
  const [first = '', second = '', ...rest] = someLists(turn, 4)
  await look(turn, [first, second])
  for (const list of rest) await append(turn, list)
  await turn.client.query('COMMIT')
}

async function appendAtTheEndOfAJob(turn: Turn): Promise<void> {
  await turn.client.query('BEGIN')
  await turn.client.query(
    `INSERT INTO lines (id, warehouse, body) SELECT gen_random_uuid(), (n % ${warehouses} + 1)::text, 'job' FROM generate_series(1, 20) n`,
  )
  await pause(turn, 1_500)
  for (const list of someLists(turn, 1)) await append(turn, list)
  await turn.client.query('COMMIT')
}

/** Many rows, moves between scopes, hard deletes. */
async function moveAndDelete({ client, random }: Turn): Promise<void> {
  const place = `${between(random, 1, warehouses)}`
  await client.query(
    `UPDATE items SET stock = stock + 1, warehouse = CASE WHEN random() < 0.2 THEN $1 ELSE warehouse END WHERE name = 'plain'`,
    [place],
  )
  await client.query(
    `DELETE FROM lines WHERE id IN (SELECT id FROM lines WHERE warehouse = $1 ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED)`,
    [place],
  )
  await new Promise((resolve) => setTimeout(resolve, 400))
}

async function pushLines({ reader, random }: Turn): Promise<void> {
  const changes = { warehouse: `${between(random, 1, warehouses)}`, body: 'pushed' }
  const made = Array.from({ length: 10 }, () => ({
    op: 'create' as const,
    collection: 'lines',
    record: newId(),
    changes,
  }))
  const results = await reader.push(made)
  if (results.some(({ status }) => status !== 'applied')) throw new Error(JSON.stringify(results[0]))
}

/** A device pulls, and offers in one transaction what it makes of two lists: both are taken, or it has met somebody else. */
async function pushOnWhatWasPulled(turn: Turn): Promise<void> {
  await turn.reader.pull()
  // Each turn another device: one whose write is in dispute would have the next ones held.
  const device = turn.reader.at(turn.warehouse.engine)
  const group = newId()
  const seen = someLists(turn, between(turn.random, 1, 2)).map((list) => {
    const row = device.rowsOf('items').get(list)
    return { list, name: row?.['name'] ?? '', tokens: tokensOf(row?.['name']) }
  })
  const results = await device.push(
    seen.map(
      ({ list, name, tokens }): PushedChange => ({
        op: 'update',
        collection: 'items',
        record: list,
        group,
        base: { name },
        changes: { name: [...tokens, token(turn, list)].join(',') },
      }),
    ),
  )
  if (!isTaken(results)) throw tooLate()
  for (const { list, tokens } of seen) turn.reads.push({ list, tokens })
}

/** A group is taken as a whole, as it was written; half of one, or a merged list, is a defect. */
function isTaken(results: readonly PushResult[]): boolean {
  const statuses = new Set<string>(results.map(({ status }) => status))
  const isApplied = statuses.has('applied')
  if (statuses.has('merged') || (isApplied && statuses.size > 1)) throw new Error(JSON.stringify(results))
  return isApplied
}

/** A plain client that reads, and writes if nobody was faster. */
async function putUnderVersion(turn: Turn): Promise<void> {
  const { reader, warehouse } = turn
  const [list = ''] = someLists(turn, 1)
  const text = await warehouse.engine.record(reader.caller, 'items', list)
  const row = JSON.parse(text ?? '{}') as { name: string; version: number }
  const tokens = tokensOf(row.name)
  const name = [...tokens, token(turn, list)].join(',')
  const precondition = { kind: 'version' as const, version: row.version }
  const write = { collection: 'items', record: list, op: 'update' as const, values: { name }, precondition }
  const { committed } = await warehouse.engine.apply(reader.caller, [write], { atomic: true })
  if (!committed) throw tooLate()
  turn.reads.push({ list, tokens })
}

export const writerKinds: readonly WriterKind[] = [
  {
    name: 'one statement',
    level: 'committed',
    work: async (turn) => {
      for (const list of someLists(turn, 1)) await append(turn, list)
      await pause(turn, 5)
    },
  },
  { name: 'several lists', level: 'committed', work: appendInSeveralLists },
  { name: 'savepoint', level: 'committed', work: appendAroundSavepoint },
  {
    name: 'REPEATABLE READ',
    level: 'snapshot',
    work: (turn) => readAndAppend(turn, 'REPEATABLE READ'),
  },
  {
    name: 'SERIALIZABLE',
    level: 'serializable',
    work: (turn) => readAndAppend(turn, 'SERIALIZABLE'),
  },
  { name: 'job', level: 'committed', work: appendAtTheEndOfAJob },
  { name: 'moves and deletes', level: 'committed', work: moveAndDelete },
  { name: 'pushed lines', level: 'committed', work: pushLines },
  { name: 'pushed lists', level: 'snapshot', work: pushOnWhatWasPulled },
  { name: 'put under a version', level: 'snapshot', work: putUnderVersion },
]
