import type { RangeDigest } from './protocol/messages.ts'

/** The most ranges that the rows of a collection in a scope are split into: by the last three hexadecimal digits of their ids. */
export const rangesMost = 4_096

/** Rows of one range, as a store or a device sums them up. */
export interface RangeSum {
  /** In [0, rangesMost). */
  readonly part: number
  readonly rows: number
  readonly sum: number
}

/**
 * SQL that sums up rows by the columns `keys` and by range, in one scan; SQLite and PostgreSQL read it alike. `held` is a
 * SELECT of the keys, of `x` (the last seven hexadecimal digits of the id, as a number) and of `v` (the version). Each row
 * counts with the cube of a number that both went into, so that no exchange between rows gives the same sum.
 * Columns: the keys, `part`, `n`, `total`. Rules: CS-1.
 */
export function digestSql(held: string, keys: readonly string[]): string {
  const names = keys.map((key) => `${key}, `).join('')
  return (
    `held AS MATERIALIZED (${held}), mixed AS MATERIALIZED (SELECT ${names}x % ${rangesMost} AS part, ` +
    `(x * 1000003 + v) % 2147483647 AS z FROM held) SELECT ${names}part, count(*) AS n, ` +
    `sum(z * z % 2147483647 * z % 2147483647) AS total FROM mixed GROUP BY ${names}part`
  )
}

/** The range of a record, of so many. */
export function rangeOfRecord(record: string, of: number): number {
  return Number.parseInt(record.slice(-3), 16) % of
}

/** How many ranges so many rows are split into: a power of 16, so that a range holds no more than `most` rows where it can. */
export function rangeCountFor(rows: number, most: number): number {
  let of = 1
  while (of < rangesMost && rows > of * most) of *= 16
  return of
}

/** The digests of `of` ranges from the sums of the smallest ones. */
export function foldRanges(sums: readonly RangeSum[], of: number): readonly RangeDigest[] {
  const digests = Array.from({ length: of }, (): [rows: number, sum: number] => [0, 0])
  for (const { part, rows, sum } of sums) {
    const digest = digests[part % of]
    if (digest === undefined) continue
    digest[0] += rows
    digest[1] += sum
  }
  return digests
}
