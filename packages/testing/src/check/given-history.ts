import type { Checker } from './checker.ts'
import { check } from './checker.ts'
import type {
  DeviceDump,
  DeviceLost,
  DumpedConflict,
  DumpedRow,
  EntryStatus,
  EntryWritten,
  Json,
  Observation,
  Payload,
  RunEnded,
  ServerAudit,
  ServerDump,
  ServerOutcome,
  Values,
} from './observation.ts'

type Changes = Values

/** What a hand-made mutation says; whatever is left out is as plain as can be. */
export interface GivenWrite extends Partial<Omit<EntryWritten, 'kind' | 'atMs' | 'payload' | 'seq'>> {
  readonly changes?: Changes
  readonly base?: Changes | null
  readonly increments?: Payload['increments']
  readonly additions?: Payload['additions']
  readonly removals?: Payload['removals']
}

/** A hand-made verdict with its line of the audit log. */
export interface GivenVerdict
  extends Partial<
    Omit<ServerOutcome, 'kind' | 'atMs' | 'version' | 'status'> & Pick<ServerAudit, 'op' | 'before' | 'after'>
  > {
  readonly status?: ServerOutcome['status']
  readonly decisions?: Json
  /** null: it changed nothing. */
  readonly version?: number | null
  readonly line?: boolean
  readonly at?: string
}

const noTime = '2026-11-20T10:00:00.000Z'

/** A history written by hand: device `d1` of `ann` under the UUID `D1`, and record `items/r1`, unless said otherwise. */
export class GivenHistory {
  readonly list: Observation[] = []
  atMs = 0
  readonly #written = new Map<string, EntryWritten>()
  #n = 0
  #version = 0

  /** Messages of what a checker finds in it. */
  found(checker: Checker): readonly string[] {
    return check(this.list, [checker]).map(({ message }) => message)
  }

  add(...observations: readonly Observation[]): this {
    this.list.push(...observations)
    return this
  }

  wait(ms: number): this {
    this.atMs += ms
    return this
  }

  /** A mutation as it is told, without being told: for copies and old images of disks. */
  entry(seq: number, write: GivenWrite = {}): EntryWritten {
    const { changes = {}, base = null, increments = {}, additions = {}, removals = {}, ...rest } = write
    return {
      kind: 'entry-written',
      atMs: this.atMs,
      disk: 'd1',
      device: 'D1',
      seq,
      id: `m${seq}`,
      collection: 'items',
      record: 'r1',
      op: 'update',
      payload: { changes, base, increments, additions, removals },
      baseVersion: 0,
      at: `${noTime}-${seq.toString(16).padStart(4, '0')}-D1`,
      group: null,
      resolves: null,
      ...rest,
    }
  }

  write(seq: number, write: GivenWrite = {}): this {
    const entry = this.entry(seq, write)
    this.#written.set(`${entry.device} ${entry.id}`, entry)
    return this.add(entry)
  }

  status(seq: number, status: EntryStatus['status'], more: Partial<EntryStatus> = {}): this {
    return this.add({
      kind: 'entry-status',
      atMs: this.atMs,
      disk: 'd1',
      device: 'D1',
      seq,
      id: `m${seq}`,
      status,
      verdict: null,
      offer: seq,
      attempts: 0,
      code: null,
      ...more,
    })
  }

  /** The numbers travel, as one mutation if there are several. */
  send(...seqs: readonly number[]): this {
    for (const seq of seqs) this.status(seq, 'sending', { offer: seqs[0] })
    return this
  }

  /** The server takes what was sent; unless said, with the effect that the mutation asks for. */
  rule(seq: number, verdict: GivenVerdict = {}): this {
    const {
      status = 'applied',
      device = 'D1',
      id = `m${seq}`,
      user = 'ann',
      code = null,
      line = true,
    } = verdict
    const written = this.#written.get(`${device} ${id}`)
    const isTaken = status === 'applied' || status === 'merged'
    const op = verdict.op ?? (isTaken ? (written?.op ?? 'update') : 'none')
    const version = verdict.version === undefined ? (op === 'none' ? null : ++this.#version) : verdict.version
    if (line) {
      this.line({
        collection: written?.collection,
        record: written?.record,
        version,
        op,
        user,
        device,
        mutation: id,
        before: verdict.before ?? null,
        after:
          verdict.after ?? (op === 'delete' || op === 'none' ? null : (written?.payload.changes ?? null)),
        status,
        decisions: verdict.decisions ?? [],
        code,
        at: verdict.at ?? written?.at.slice(0, 24),
      })
    }
    const covers = verdict.covers ?? String(seq)
    const { atMs } = this
    return this.add({ kind: 'outcome', atMs, user, device, seq, covers, id, status, version, code })
  }

  /** A line of the audit log; by somebody beside the server unless said. */
  line(line: Partial<Omit<ServerAudit, 'kind' | 'atMs'>> = {}): this {
    const op = line.op ?? 'update'
    this.#n = line.n ?? this.#n + 1
    const version = line.version === undefined ? ++this.#version : line.version
    this.#version = Math.max(this.#version, version ?? 0)
    return this.add({
      kind: 'audit',
      atMs: this.atMs,
      n: this.#n,
      collection: line.collection ?? 'items',
      record: line.record ?? 'r1',
      version,
      op,
      user: line.user ?? null,
      device: line.device ?? null,
      mutation: line.mutation ?? null,
      at: line.at ?? noTime,
      before: line.before ?? null,
      after: line.after ?? null,
      status: line.status ?? 'applied',
      decisions: line.decisions ?? [],
      code: line.code ?? null,
      acceptedBy: line.acceptedBy ?? null,
    })
  }

  /** The server is put back to just after line `auditN`. */
  restore(auditN: number): this {
    const at = this.list.findIndex((o) => o.kind === 'audit' && o.n > auditN)
    const forgotten = at < 0 ? [] : this.list.slice(at).filter((o) => o.kind === 'outcome')
    this.#n = auditN
    return this.add({ kind: 'server-restored', atMs: this.atMs, auditN, forgotten })
  }

  gone(...seqs: readonly number[]): this {
    for (const seq of seqs) this.leave(seq)
    return this
  }

  leave(
    seq: number,
    { disk = 'd1', device = 'D1', id = `m${seq}` }: { disk?: string; device?: string; id?: string } = {},
  ): this {
    return this.add({ kind: 'entry-gone', atMs: this.atMs, disk, device, seq, id })
  }

  move(from: number, to: number, id = `m${to}`, device = 'D1'): this {
    const { atMs } = this
    return this.add({
      kind: 'entry-moved',
      atMs,
      disk: 'd1',
      device,
      from: { seq: from, id: `m${from}` },
      to: { seq: to, id },
    })
  }

  discard(...mutations: readonly string[]): this {
    return this.add({ kind: 'discarded', atMs: this.atMs, disk: 'd1', mutations })
  }

  /** The disk loses what a power cut takes. */
  powerCut(durability: 'full' | 'fast', ...seqs: readonly number[]): this {
    return this.lose({ durability, entries: seqs.map((seq) => ({ seq, id: `m${seq}` })) })
  }

  /** A power cut takes these, and others are there again. */
  lose(lost: Pick<DeviceLost, 'durability' | 'entries'> & Partial<Pick<DeviceLost, 'back'>>): this {
    return this.add({
      kind: 'device-lost',
      atMs: this.atMs,
      disk: 'd1',
      cause: 'power-cut',
      back: [],
      ...lost,
    })
  }

  /** An older image of the disk is put back. */
  putBack(entries: readonly number[], back: readonly EntryWritten[]): this {
    const lost = entries.map((seq) => ({ seq, id: `m${seq}` }))
    const { atMs } = this
    return this.add({
      kind: 'device-lost',
      atMs,
      disk: 'd1',
      cause: 'backup',
      durability: 'full',
      entries: lost,
      back,
    })
  }

  /** The disk is copied to `d2`, with what is named in its outbox. */
  copy(...entries: readonly EntryWritten[]): this {
    return this.add({ kind: 'device-copied', atMs: this.atMs, disk: 'd1', to: 'd2', entries })
  }

  end({ server, devices = [], quietAtMs = this.atMs, unrest = [] }: GivenEnd = {}): this {
    const dump: ServerDump = {
      epoch: 'e1',
      collections: {},
      deleted: {},
      scopes: {},
      conflicts: [],
      damage: [],
      ...server,
    }
    const all = devices.map((device) => ({ ...emptyDevice, ...device }))
    return this.add({ kind: 'end', atMs: this.atMs, quietAtMs, unrest, server: dump, devices: all })
  }
}

interface GivenEnd {
  readonly server?: Partial<ServerDump>
  readonly devices?: readonly Partial<DeviceDump>[]
  readonly quietAtMs?: RunEnded['quietAtMs']
  readonly unrest?: readonly string[]
}

const emptyDevice: DeviceDump = {
  disk: 'd1',
  device: 'D1',
  user: 'ann',
  grants: ['site:t0a'],
  collections: {},
  conflicts: [],
  outbox: [],
  retained: [],
  shadowCount: 0,
  stagedCount: 0,
  quarantineCount: 0,
  scopesSeen: [],
  damage: [],
}

/** A history in which nothing has happened yet. */
export function givenHistory(): GivenHistory {
  return new GivenHistory()
}

/** A row as a table holds it. */
export function givenRow(id: string, version: number, values: Values, at: string | null = noTime): DumpedRow {
  return { id, version, createdAt: at, updatedAt: at, values }
}

/** An open conflict about `items/r1` that `ann` began. */
export function givenConflict(id: string, more: Partial<DumpedConflict> = {}): DumpedConflict {
  return { id, status: 'open', collection: 'items', record: 'r1', mutation: 'm1', author: 'ann', ...more }
}
