/** The record every case uses: an inventory item of about 280 bytes of JSON. */
export interface Item {
  /** A UUID version 7, so that rows made later have larger keys, as rows of an app have. */
  readonly id: string
  readonly sku: string
  /** 30 characters. */
  readonly name: string
  /** 120 characters. */
  readonly description: string
  /** 0 to 99; one row in ten is below 10. */
  readonly stock: number
  readonly price: string
  /** Three. */
  readonly tags: readonly string[]
  /** One of 20. */
  readonly warehouse: string
  readonly counted: string
}

/** What the live query and the cold open ask for: the low stock of one warehouse, by name, at most `rows`. */
export const lowStock = { warehouse: 'W07', below: 10, rows: 50 } as const

/** How many records take turns in being changed for `pull-one`. */
export const pulledRecords = 20

/** Wait between two changes for `pull-one`, ms: each is to be a change on its own, not one of a stream. */
export const pullPauseMs = 150

const firstMs = Date.UTC(2026, 0, 1)
const words =
  'amber anchor bolt brass cable carbon clamp copper crate cutter drill filter flange folding gasket gauge handle hinge indoor iron joint ladder lamp laser lever marine motor nylon outdoor panel pipe pump rail rotor rubber sealed sensor shelf spindle spring steel strap switch valve washer wheel winch wire wood zinc'.split(
    ' ',
  )

/** `count` items in key order; the same seed gives the same items. */
export function makeItems(count: number, seed = 1): Item[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, (_, index) => makeItem(index, random))
}

/** Uniform in [0, 1), the same sequence for the same seed. Source: mulberry32, Tommy Ettinger, public domain. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

function makeItem(index: number, random: () => number): Item {
  const pick = (count: number): number => Math.floor(random() * count)
  const madeMs = firstMs + index * 1_000 + pick(1_000)
  return {
    id: makeId(madeMs, pick),
    sku: `SKU-${String(index).padStart(6, '0')}`,
    name: makeText(30, pick),
    description: makeText(120, pick),
    stock: pick(100),
    price: `${pick(1_000)}.${String(pick(100)).padStart(2, '0')}`,
    tags: makeTags(pick),
    warehouse: `W${String(pick(20)).padStart(2, '0')}`,
    counted: new Date(madeMs).toISOString(),
  }
}

function makeId(madeMs: number, pick: (count: number) => number): string {
  const time = madeMs.toString(16).padStart(12, '0')
  const hex = (digits: number): string =>
    pick(16 ** digits)
      .toString(16)
      .padStart(digits, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(3)}-${'89ab'[pick(4)]}${hex(3)}-${hex(6)}${hex(6)}`
}

function makeText(length: number, pick: (count: number) => number): string {
  let text = ''
  while (text.length < length) text += `${words[pick(words.length)]} `
  return text.slice(0, length - 1) + '.'
}

/** Three different words in sorted order, the order in which sets travel. */
function makeTags(pick: (count: number) => number): string[] {
  const tags = new Set<string>()
  while (tags.size < 3) tags.add(words[pick(words.length)] ?? '')
  return [...tags].sort()
}

/** One write of the live query case. */
export interface LiveQueryChange {
  readonly id: string
  readonly stock: number
  /** The stock the result must show afterwards; undefined when the row must be gone from it. */
  readonly seen: number | undefined
}

/** Writes that each change the result: a row changes inside it, leaves it, and comes back, then the next row does. */
export function liveQueryChanges(
  result: readonly Pick<Item, 'id' | 'stock'>[],
  count: number,
): LiveQueryChange[] {
  return Array.from({ length: count }, (_, index) => {
    const row = result[Math.floor(index / 3) % result.length]
    if (row === undefined) throw new Error('The live query found nothing to change.')
    if (index % 3 === 1) return { id: row.id, stock: 50, seen: undefined }
    const stock = index % 3 === 0 ? (row.stock + 1) % lowStock.below : row.stock
    return { id: row.id, stock, seen: stock }
  })
}

/** One edit made offline. */
export interface OfflineEdit {
  readonly id: string
  readonly changes: { readonly stock: number } | { readonly price: string }
}

/** Five edits of each of `count` of the items, one item after the other: three of the stock and two of the price. */
export function offlineEdits(items: readonly Item[], count: number): OfflineEdit[] {
  const step = Math.floor(items.length / count)
  const edited = items.filter((_, index) => index % step === 0).slice(0, count)
  return edited.flatMap(({ id, stock, price }) =>
    [1, 2, 3, 4, 5].map((round) => ({
      id,
      changes: round % 2 === 1 ? { stock: stock + round } : { price: `${round}${price}` },
    })),
  )
}
