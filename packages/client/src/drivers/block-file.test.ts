import fc from 'fast-check'
import { expect, test } from 'vitest'

import { blockBytes, BlockFile } from './block-file.ts'

type Step =
  | { readonly what: 'write'; readonly at: number; readonly length: number; readonly byte: number }
  | { readonly what: 'truncate'; readonly size: number }
  | { readonly what: 'settle' | 'undo' }

const place = fc.oneof(
  fc.nat(4 * blockBytes),
  fc.constantFrom(0, blockBytes - 1, blockBytes, blockBytes + 1, 2 * blockBytes),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    what: fc.constant('write' as const),
    at: place,
    length: fc.oneof(fc.nat(40), fc.constantFrom(blockBytes, 2 * blockBytes + 5)),
    byte: fc.integer({ min: 1, max: 255 }),
  }),
  fc.record({ what: fc.constant('truncate' as const), size: place }),
  fc.record({ what: fc.constantFrom('settle' as const, 'undo' as const) }),
)

/** The same in the simplest way there is. */
function written(bytes: Uint8Array, each: Extract<Step, { what: 'write' }>): Uint8Array {
  const longer = resized(bytes, Math.max(bytes.length, each.at + each.length))
  return longer.fill(each.byte, each.at, each.at + each.length)
}

function resized(bytes: Uint8Array, size: number): Uint8Array {
  const next = new Uint8Array(size)
  next.set(bytes.subarray(0, size))
  return next
}

function contentOf(file: BlockFile): Uint8Array {
  const bytes = new Uint8Array(file.size)
  expect(file.read(bytes, 0)).toBe(file.size)
  return bytes
}

test('[BR-14] a file reads as it was written, goes back to what is stored, and what it says has changed makes the next one', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const file = new BlockFile()
      let [now, stored]: Uint8Array[] = [new Uint8Array(0), new Uint8Array(0)]
      let disk = new Map<number, Uint8Array>()
      for (const each of steps) {
        if (each.what === 'write' && each.length > 0) {
          file.write(new Uint8Array(each.length).fill(each.byte), each.at)
          now = written(now ?? new Uint8Array(0), each)
        } else if (each.what === 'truncate') {
          file.truncate(each.size)
          now = resized(now ?? new Uint8Array(0), each.size)
        } else if (each.what === 'settle') {
          const { blocks, removed } = file.changes()
          for (const number of removed) disk.delete(number)
          // As a store would: what it was given may go on changing.
          disk = new Map([...disk, ...[...blocks].map(([number, block]) => [number, block.slice()] as const)])
          file.settle()
          stored = now
        } else if (each.what === 'undo') {
          file.undo()
          now = stored
        }
        expect(contentOf(file)).toEqual(now)
        expect(contentOf(new BlockFile(disk, stored?.length))).toEqual(stored)
      }
    }),
  )
})

test('[BR-14] reading past the end gives zeros and says how many bytes there were', () => {
  const file = new BlockFile()
  file.write(new Uint8Array([1, 2, 3]), 0)
  const target = new Uint8Array(5).fill(9)
  expect([file.read(target, 1), [...target]]).toEqual([2, [2, 3, 0, 0, 0]])
  expect([file.read(target, 10), [...target]]).toEqual([0, [0, 0, 0, 0, 0]])
})
