import type { StoredOutcome, StoreReader } from '../store.ts'
import { deviceOf, outcomeOf } from '../stored-rows.ts'
import type { Connection } from './connection.ts'

type DeviceQueries = Pick<
  StoreReader,
  'state' | 'historyTag' | 'device' | 'devices' | 'outcomes' | 'decidedKeys' | 'outcomesText'
>

const outcomeObject = `json_object('id', id, 'seq', seq, 'covers', covers, 'status', status, 'version', version,
  'serverUpdatedAt', server_updated_at)`

/** Members of an `Outcome`; what the body holds follows, without the record, which pulls bring themselves. */
const outcomeText = `substr(${outcomeObject}, 1, length(${outcomeObject}) - 1)
  || CASE WHEN folded IS NULL THEN '' ELSE ',"folded":' || folded END
  || CASE WHEN json_remove(body, '$.record') <> '{}' THEN ',' || substr(json_remove(body, '$.record'), 2) ELSE '}' END`

/** A position belongs to the opening under which it was made: it begins after the one at which that began. */
function tagOf(db: Connection, position: number): string {
  const sql = 'SELECT tag FROM holdfast_openings WHERE position < ? ORDER BY position DESC LIMIT 1'
  return String(db.get(sql, position)?.['tag'] ?? '')
}

/** Reads of devices and their outcomes. */
export function deviceQueries(db: Connection): DeviceQueries {
  return {
    state: async () => {
      const row = db.get(
        'SELECT epoch, counter, horizon, (SELECT at FROM holdfast_openings ORDER BY position DESC LIMIT 1) AS opened FROM holdfast_state',
      )
      const head = Number(row?.['counter'])
      return {
        epoch: String(row?.['epoch']),
        head,
        complete: head,
        tag: tagOf(db, head),
        horizon: Number(row?.['horizon']),
        openedAt: String(row?.['opened']),
      }
    },
    historyTag: async (position) => tagOf(db, position),
    device: async (user, device) => {
      const row = db.get('SELECT * FROM holdfast_devices WHERE user = ? AND device = ?', user, device)
      return row ? deviceOf(row) : null
    },
    devices: async (user) =>
      db
        .all('SELECT * FROM holdfast_devices WHERE ?1 IS NULL OR user = ?1 ORDER BY n', user ?? null)
        .map(deviceOf),
    outcomes: async (device, { seqs = [], ids = [] }) => [
      ...inList(db, 'seq', device, seqs),
      ...inList(db, 'id', device, ids),
    ],
    decidedKeys: async (user, ids) => {
      if (ids.length === 0) return []
      // The devices come last: a key is rarely known, a user may have many of them. The outcomes of a fold come once.
      const of = (column: string, source: string): string =>
        `SELECT o.* FROM json_each(?1) k CROSS JOIN ${source} CROSS JOIN holdfast_devices d
         ON d.n = o.device AND d.user = ?2 WHERE ${column} = k.value`
      const folded =
        'holdfast_folded f CROSS JOIN holdfast_outcomes o ON o.device = f.device AND o.seq = f.seq'
      const sql = `${of('o.id', 'holdfast_outcomes o INDEXED BY holdfast_outcomes_by_id')} UNION ${of('f.id', folded)}`
      return db.all(sql, JSON.stringify(ids), user).map(outcomeOf)
    },
    outcomesText: async (device, seqs) => {
      const texts = seqs.flatMap(([first, last]) =>
        db.all(
          `SELECT ${outcomeText} AS text FROM holdfast_outcomes WHERE device = ? AND seq BETWEEN ? AND ?`,
          device,
          first,
          last,
        ),
      )
      return `[${texts.map((row) => String(row['text'])).join(',')}]`
    },
  }
}

function inList(
  db: Connection,
  column: 'seq' | 'id',
  device: number,
  keys: readonly (string | number)[],
): readonly StoredOutcome[] {
  if (keys.length === 0) return []
  // A number may be covered by an outcome that begins at a lower one: the nearest, or one whose covers have gaps.
  const match =
    column === 'id'
      ? 'o.id = k.value'
      : `o.seq <= k.value AND (instr(o.covers, ',') > 0
          OR o.seq = (SELECT max(seq) FROM holdfast_outcomes WHERE device = ?2 AND seq <= k.value))`
  // Without statistics SQLite would walk all outcomes of the device.
  const outcomes =
    column === 'id' ? 'holdfast_outcomes o INDEXED BY holdfast_outcomes_by_id' : 'holdfast_outcomes o'
  const sql = `SELECT o.* FROM json_each(?1) k CROSS JOIN ${outcomes} ON o.device = ?2 AND ${match}`
  return db.all(sql, JSON.stringify(keys), device).map(outcomeOf)
}
