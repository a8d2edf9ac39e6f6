import { callbackify } from 'node:util'
import pg from 'pg'

import type { Fate } from '../sim/disk-ports.ts'
import { needsRoom, statementKind } from '../sim/statement-kind.ts'

/** What the connections of one life of a server ask. */
export interface LifePorts {
  /** Asked before each statement. */
  readonly judge: (sql: string) => Fate
  /** The process dies at its present statement. */
  readonly onKill: () => void
  /** What the clock of the run says, which SQL takes for the time of a statement. */
  readonly nowIso: () => string
  /** Called, and waited for, after each commit. */
  readonly onCommit: () => Promise<void>
}

interface Connected {
  readonly connection: { readonly stream: { destroy(): void } }
  readonly connectionParameters: { readonly application_name?: string }
}

type Call = (this: Connected, ...args: unknown[]) => unknown

const lives = new Map<string, PostgresLife>()
let lifeCount = 0

/**
 * One life of a process in front of a real PostgreSQL, seen where the driver `pg` speaks: it counts what is under way,
 * fails statements as the run says, and cuts all connections when the process dies. Connections belong to the life that
 * their application name says.
 */
export class PostgresLife {
  readonly name: string = `holdfast-life-${(lifeCount += 1)}`
  readonly #ports: LifePorts
  readonly #clients = new Set<Connected>()
  #underWay = 0
  #isOver = false

  constructor(ports: LifePorts) {
    this.#ports = ports
    lives.set(this.name, this)
    watchDriver()
  }

  /** Nothing was asked that is not answered. */
  get isIdle(): boolean {
    return this.#underWay === 0
  }

  /** All connections are cut, and nothing gets through any more. */
  end(): void {
    this.#isOver = true
    for (const client of this.#clients) client.connection.stream.destroy()
    this.#clients.clear()
  }

  async connect(client: Connected, run: () => unknown): Promise<void> {
    if (this.#isOver) throw gone()
    this.#clients.add(client)
    await this.#track(run)
  }

  /** Sends a statement; `send` takes the text of another one in its place. */
  async query(sql: string, send: (instead?: string) => unknown): Promise<unknown> {
    if (this.#isOver) throw gone()
    const kind = statementKind(sql)
    const fate = this.#ports.judge(sql)
    if (fate === 'kill') {
      this.#ports.onKill()
      throw gone()
    }
    if (fate === 'full' && needsRoom(kind)) return this.#track(() => send(diskFull))
    if (kind === 'begin')
      return this.#track(() => send(`${sql}; SET LOCAL "sim.now" = '${this.#ports.nowIso()}'`))
    return this.#track(async () => {
      const result = await send()
      if (kind === 'commit') await this.#ports.onCommit()
      return result
    })
  }

  async #track<Result>(run: () => Result): Promise<Awaited<Result>> {
    this.#underWay += 1
    try {
      return await run()
    } finally {
      this.#underWay -= 1
    }
  }
}

function gone(): Error {
  return new Error('Connection terminated')
}

/** Fails, and the transaction with it. Source of the code: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const diskFull = `DO $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$`

let isWatched = false

/** The driver itself is left as it is; each of its connections is asked whose it is. */
function watchDriver(): void {
  if (isWatched) return
  isWatched = true
  const prototype = pg.Client.prototype as unknown as { query: Call; connect: Call }
  const { query, connect } = prototype
  prototype.query = function (...args) {
    const life = lifeOf(this)
    if (life === undefined || typeof args.at(-1) === 'function') return query.apply(this, args)
    const [first, ...others] = args
    const text = typeof first === 'string' ? first : (first as { readonly text: string }).text
    const told = onClockOfRun(text)
    const asked = typeof first === 'string' ? told : { ...(first as object), text: told }
    return life.query(text, (instead) =>
      query.apply(this, instead === undefined ? [asked, ...others] : [instead]),
    )
  }
  prototype.connect = function (...args) {
    const life = lifeOf(this)
    if (life === undefined) return connect.apply(this, args)
    const [callback] = args
    const connected = (): Promise<void> => life.connect(this, () => connect.apply(this, []))
    if (typeof callback !== 'function') return connected()
    callbackify(connected)(callback as (error: Error | null) => void)
    return undefined
  }
}

/** Functions that a migration makes anew read the clock of the run as well. */
function onClockOfRun(sql: string): string {
  return sql.replaceAll('statement_timestamp()', 'sim.now()')
}

function lifeOf({ connectionParameters }: Connected): PostgresLife | undefined {
  return lives.get(connectionParameters.application_name ?? '')
}
