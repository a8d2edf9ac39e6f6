/** Bytes of a block: SQLite's pages as a rule. */
export const blockBytes = 4_096

/** What of a file is to be stored. */
export interface FileChanges {
  /** Bytes of the whole file. */
  readonly size: number
  /** Blocks by their number, each of `blockBytes` bytes. */
  readonly blocks: ReadonlyMap<number, Uint8Array>
  readonly removed: readonly number[]
}

/** A file in memory that knows what has changed in it since it was last stored, and can go back to that. */
export class BlockFile {
  readonly #blocks: Map<number, Uint8Array>
  #size: number
  /** Changed blocks as they were stored; undefined where there was none. */
  readonly #stored = new Map<number, Uint8Array | undefined>()
  #storedSize: number

  constructor(blocks: ReadonlyMap<number, Uint8Array> = new Map(), size = 0) {
    this.#blocks = new Map(blocks)
    this.#size = size
    this.#storedSize = size
  }

  /** Bytes. */
  get size(): number {
    return this.#size
  }

  get isChanged(): boolean {
    return this.#stored.size > 0 || this.#size !== this.#storedSize
  }

  /** Fills `target` from `at` on, with zeros behind the end; how many bytes there were. */
  read(target: Uint8Array, at: number): number {
    const count = Math.max(0, Math.min(target.length, this.#size - at))
    target.fill(0, count)
    forEachBlock(at, count, ({ number, start, place, length }) => {
      const block = this.#blocks.get(number)
      const part = target.subarray(place, place + length)
      if (block === undefined) part.fill(0)
      else part.set(block.subarray(start, start + length))
    })
    return count
  }

  write(source: Uint8Array, at: number): void {
    forEachBlock(at, source.length, ({ number, start, place, length }) => {
      this.#ownBlock(number).set(source.subarray(place, place + length), start)
    })
    this.#size = Math.max(this.#size, at + source.length)
  }

  /** Cuts the file, or makes it longer by zeros. */
  truncate(size: number): void {
    const last = Math.ceil(size / blockBytes)
    for (const number of this.#blocks.keys()) {
      if (number < last) continue
      this.#remember(number)
      this.#blocks.delete(number)
    }
    // What lies behind the end must be zero when the file grows again.
    if (size < this.#size && size % blockBytes > 0) this.#ownBlock(last - 1).fill(0, size % blockBytes)
    this.#size = size
  }

  /** What has changed since the last `settle`. */
  changes(): FileChanges {
    const blocks = new Map<number, Uint8Array>()
    const removed: number[] = []
    for (const number of this.#stored.keys()) {
      const block = this.#blocks.get(number)
      if (block === undefined) removed.push(number)
      else blocks.set(number, block)
    }
    return { size: this.#size, blocks, removed }
  }

  /** What it holds now is stored. */
  settle(): void {
    this.#stored.clear()
    this.#storedSize = this.#size
  }

  /** Goes back to what is stored. */
  undo(): void {
    for (const [number, block] of this.#stored) {
      if (block === undefined) this.#blocks.delete(number)
      else this.#blocks.set(number, block)
    }
    this.#stored.clear()
    this.#size = this.#storedSize
  }

  /** A block that may be written to. */
  #ownBlock(number: number): Uint8Array {
    const known = this.#blocks.get(number)
    if (known !== undefined && this.#stored.has(number)) return known
    this.#remember(number)
    const own = known?.slice() ?? new Uint8Array(blockBytes)
    this.#blocks.set(number, own)
    return own
  }

  #remember(number: number): void {
    if (!this.#stored.has(number)) this.#stored.set(number, this.#blocks.get(number))
  }
}

/** A stretch of a file within one block. */
interface Part {
  /** Of the block. */
  readonly number: number
  /** Where in the block. */
  readonly start: number
  /** Where in the stretch. */
  readonly place: number
  readonly length: number
}

function forEachBlock(at: number, count: number, visit: (part: Part) => void): void {
  for (let place = 0; place < count; ) {
    const number = Math.floor((at + place) / blockBytes)
    const start = (at + place) % blockBytes
    const length = Math.min(blockBytes - start, count - place)
    visit({ number, start, place, length })
    place += length
  }
}
