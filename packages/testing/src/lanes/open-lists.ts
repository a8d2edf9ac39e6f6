import type { Observation, Values } from '../check/observation.ts'
import type { SimDevice } from '../sim/sim-device.ts'
import type { LaneClient } from './lane-schema.ts'

/** A list that an app keeps open, and how the disk is asked for the same. */
interface List {
  readonly name: string
  readonly sql: string
  readonly watch: (
    db: LaneClient,
    onRows: (rows: readonly Values[]) => void,
    onError: (error: unknown) => void,
  ) => void
}

const lists: readonly List[] = [
  {
    name: 'items',
    sql: 'SELECT id, name, place, stock FROM items ORDER BY id',
    watch: (db, onRows, onError) => {
      db.watch(
        (q) => q.selectFrom('items').select(['id', 'name', 'place', 'stock']).orderBy('id'),
        onRows,
        onError,
      )
    },
  },
  {
    name: 'lines with their items',
    sql: 'SELECT lines.id, amount, name FROM lines JOIN items ON items.id = lines.item ORDER BY lines.id',
    watch: (db, onRows, onError) => {
      db.watch(
        (q) =>
          q
            .selectFrom('lines')
            .innerJoin('items', 'items.id', 'lines.item')
            .select(['lines.id as id', 'amount', 'name'])
            .orderBy('lines.id'),
        onRows,
        onError,
      )
    },
  },
]

interface Open {
  readonly device: SimDevice
  readonly client: SimDevice['client']
  readonly list: List
  shown: readonly Values[] | null
}

/** The lists that the apps of a run keep open, each as long as its app runs. Rules: SIM-90. */
export class OpenLists {
  readonly #onError: (error: unknown) => void
  #open: Open[] = []

  /** `onError`: told what goes wrong with a list whose app runs. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** Opens every list on a device. Those of an earlier life of its app are gone. */
  readonly open = (device: SimDevice): void => {
    const { client } = device
    if (client === undefined) return
    this.#open = this.#open.filter((each) => each.device !== device || each.client === client)
    for (const list of lists) {
      const open: Open = { device, client, list, shown: null }
      this.#open.push(open)
      // Lists are opened in runs of one schema alone.
      list.watch(
        client as unknown as LaneClient,
        (rows) => (open.shown = rows),
        (error) => {
          if (device.client === client) this.#onError(error)
        },
      )
    }
  }

  /** What each of them shows, for devices that run and are at rest. */
  read(atMs: number): readonly Observation[] {
    return this.#open
      .filter(({ device, client }) => device.client === client)
      .map(({ device: { disk, name }, list, shown }) => ({
        kind: 'list-read',
        atMs,
        disk: name,
        list: list.name,
        shown,
        // These columns hold text, numbers and null.
        held: disk.read(list.sql) as readonly Values[],
      }))
  }
}
