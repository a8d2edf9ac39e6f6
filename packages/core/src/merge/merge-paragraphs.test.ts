import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../limits.ts'
import { mergeParagraphs } from './merge-paragraphs.ts'

describe('edits to different paragraphs', () => {
  test.each([
    ['both change one', 'a\n\nb\n\nc', 'A\n\nb\n\nc', 'a\n\nb\n\nC', 'A\n\nb\n\nC'],
    ['neighbours', 'a\n\nb', 'A\n\nb', 'a\n\nB', 'A\n\nB'],
    ['one is edited, one is appended', 'a', 'A', 'a\n\nb', 'A\n\nb'],
    ['one is edited, one is put before it', 'a\n\nb', 'A\n\nb', 'new\n\na\n\nb', 'new\n\nA\n\nb'],
    ['one is deleted, another edited', 'a\n\nb\n\nc', 'b\n\nc', 'a\n\nb\n\nC', 'b\n\nC'],
    ['both append: theirs comes first', 'a', 'a\n\nmine', 'a\n\ntheirs', 'a\n\ntheirs\n\nmine'],
    ['both prepend: theirs comes first', 'a', 'mine\n\na', 'theirs\n\na', 'theirs\n\nmine\n\na'],
    ['both begin an empty text', '', 'mine', 'theirs', 'theirs\n\nmine'],
    ['both make the same edit', 'a\n\nb', 'A\n\nb', 'A\n\nb', 'A\n\nb'],
    ['both append the same', 'a', 'a\n\nb', 'a\n\nb', 'a\n\nb'],
    ['only mine', 'a\n\nb', 'a\n\nB', 'a\n\nb', 'a\n\nB'],
    ['only theirs', 'a\n\nb', 'a\n\nb', 'a\n\nB', 'a\n\nB'],
    ['lines of one paragraph stay together', 'a\nb\n\nc', 'a\nB\n\nc', 'a\nb\n\nC', 'a\nB\n\nC'],
    [
      'blank lines stay as typed',
      'a\n \n\nb\n\nc\n',
      'A\n \n\nb\n\nc\n',
      'a\n \n\nb\n\nC\n',
      'A\n \n\nb\n\nC\n',
    ],
    ['Windows line ends stay', 'a\r\n\r\nb', 'A\r\n\r\nb', 'new\r\n\r\na\r\n\r\nb', 'new\r\n\r\nA\r\n\r\nb'],
    ['blank lines at the ends stay', '\n\na\n\n', '\n\nA\n\n', '\n\na\n\n', '\n\nA\n\n'],
    ['all is deleted, nothing else done', 'a\n\nb', '', 'a\n\nb', ''],
  ])('[ME-10] %s', (_what, base, mine, theirs, expected) => {
    expect(mergeParagraphs({ base, mine, theirs })).toBe(expected)
  })

  test.each([
    ['both change the same one', 'a\n\nb', 'a\n\nX', 'a\n\nY'],
    ['one deletes what the other edits', 'a\n\nb', 'a', 'a\n\nB'],
    ['one rewrites all', 'a\n\nb\n\nc', 'X', 'a\n\nB\n\nc'],
    [
      'one puts something into what the other deletes',
      'a\n\nb\n\nc\n\nd',
      'a\n\nd',
      'a\n\nb\n\nnew\n\nc\n\nd',
    ],
  ])('[ME-10] overlapping: %s', (_what, base, mine, theirs) => {
    expect(mergeParagraphs({ base, mine, theirs })).toBeUndefined()
    expect(mergeParagraphs({ base, mine: theirs, theirs: mine })).toBeUndefined()
  })

  test('[ME-10] a text of more paragraphs than the limit is for a person, and quickly so', () => {
    const base = 'x\n\n'.repeat(limits.paragraphs + 1)
    expect(mergeParagraphs({ base, mine: `${base}y`, theirs: `z\n\n${base}` })).toBeUndefined()
  })
})

describe('any texts', () => {
  const paragraphs = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e\nf', ''), { maxLength: 6 })
  const given = paragraphs.map((list) => list.join('\n\n'))

  test('[ME-10] what only one side edited comes out as that side has it', () => {
    fc.assert(
      fc.property(given, given, (base, edited) => {
        expect(mergeParagraphs({ base, mine: edited, theirs: base })).toBe(edited)
        expect(mergeParagraphs({ base, mine: base, theirs: edited })).toBe(edited)
        expect(mergeParagraphs({ base, mine: edited, theirs: edited })).toBe(edited)
      }),
      { numRuns: 1_000, seed: 3 },
    )
  })

  test('[ME-10] no paragraph that either side added is lost', () => {
    const fresh = fc.array(fc.constantFrom('m1', 'm2', 'm3'), { maxLength: 3 })
    fc.assert(
      fc.property(given, given, given, fresh, (base, mine, theirs, extra) => {
        const [left, right] = [
          [mine, ...extra].join('\n\n'),
          [theirs, ...extra.map((text) => text.replace('m', 't'))].join('\n\n'),
        ]
        const merged = mergeParagraphs({ base, mine: left, theirs: right })
        if (merged === undefined) return
        for (const text of extra)
          expect(merged.split('\n\n')).toEqual(expect.arrayContaining([text, text.replace('m', 't')]))
      }),
      { numRuns: 500, seed: 4 },
    )
  })
})
