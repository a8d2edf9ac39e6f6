import type { EntryWritten, Observation } from '../check/observation.ts'
import { cursorOf, type OnDisk, type Row, statusOf, writtenOf } from './device-state.ts'

/** Who speaks from a disk, as far as it has been told; kept up to date by `readCommit`. */
export interface Speaker {
  readonly user: string
  device: string
  cursor: string | null
}

/**
 * What the rows that the triggers of one commit wrote down say, in order. Of several statuses and payloads of an entry
 * only the last is kept; each move is. Where the cursor stands comes last: then everything is told that moved with it.
 */
export function readCommit(rows: readonly Row[], speaker: Speaker, on: OnDisk): readonly Observation[] {
  const commit = new Commit()
  const { atMs, disk } = on
  const moved: Observation[] = []
  for (const row of rows) {
    const kind = row[0]
    if (kind === 'cursor' || kind === 'device') {
      const changed = readMeta(kind, row[1], speaker, on)
      if (changed?.kind === 'cursor') moved.push(changed)
      else if (changed !== undefined) commit.add(changed)
      continue
    }
    const seq = Number(row[1])
    const id = String(row[2])
    const { device } = speaker
    if (kind === 'written') commit.write(writtenOf(row, 1, { ...on, device }))
    else if (kind === 'status') commit.replace(`status ${seq}`, statusOf(row, 1, { ...on, device }))
    else if (kind === 'gone') commit.add({ kind: 'entry-gone', atMs, disk, device, seq, id })
    else if (kind === 'noted') commit.add({ kind: 'loss-noted', atMs, disk, id, record: String(row[3]) })
    else if (kind === 'moved') {
      const to = { seq: Number(row[3]), id: String(row[4]) }
      commit.add({ kind: 'entry-moved', atMs, disk, device, from: { seq, id }, to })
      commit.follow(seq, to.seq)
    } else {
      const written = writtenOf(row, 1, { ...on, device })
      const { payload } = written
      if (!commit.rewrite(written) && row[11] === 1)
        commit.replace(`payload ${seq}`, { kind: 'entry-payload', atMs, disk, device, seq, id, payload })
    }
  }
  return [...commit.told(), ...moved]
}

function readMeta(
  key: 'cursor' | 'device',
  value: unknown,
  speaker: Speaker,
  on: OnDisk,
): Observation | undefined {
  const text = typeof value === 'string' ? value : null
  if (text === speaker[key]) return undefined
  if (key === 'cursor') {
    speaker.cursor = text
    return cursorOf(text, on)
  }
  speaker.device = text ?? ''
  return { kind: 'identity', ...on, device: speaker.device, user: speaker.user }
}

class Commit {
  readonly #told: (Observation | undefined)[] = []
  /** Where the newest word on an entry stands, by what it says and the number the entry has now. */
  readonly #places = new Map<string, number>()

  add(observation: Observation): void {
    this.#told.push(observation)
  }

  replace(key: string, observation: Observation): void {
    const old = this.#places.get(key)
    if (old !== undefined) this.#told[old] = undefined
    this.#places.set(key, this.#told.length)
    this.#told.push(observation)
  }

  write(written: EntryWritten): void {
    this.#places.set(`written ${written.seq}`, this.#told.length)
    this.#told.push(written)
  }

  /** False: the entry was there before this commit. */
  rewrite(entry: EntryWritten): boolean {
    const place = this.#places.get(`written ${entry.seq}`)
    const written = place === undefined ? undefined : this.#told[place]
    if (place === undefined || written?.kind !== 'entry-written') return false
    // It was written under the number and key from which it may have moved since.
    this.#told[place] = { ...entry, seq: written.seq, id: written.id }
    return true
  }

  /** An entry under another number is still the same. */
  follow(from: number, to: number): void {
    for (const what of ['written', 'status', 'payload']) {
      const place = this.#places.get(`${what} ${from}`)
      this.#places.delete(`${what} ${from}`)
      if (place === undefined) this.#places.delete(`${what} ${to}`)
      else this.#places.set(`${what} ${to}`, place)
    }
  }

  told(): readonly Observation[] {
    return this.#told.filter((observation) => observation !== undefined)
  }
}
