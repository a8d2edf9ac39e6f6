import { collection, defineSchema, integer, text } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import { factsOf } from './facts-of.ts'
import { givenHistory, type GivenHistory } from './given-history.ts'
import { writeRights } from './write-rights.ts'

const checker = writeRights(
  factsOf(
    defineSchema({
      version: 1,
      collections: {
        items: collection({
          fields: { site: text(), shelf: integer({ optional: true }), name: text({ optional: true }) },
          scope: ['site:{site}', 'shelf:{shelf}'],
        }),
        notes: collection({ fields: { body: text() } }),
      },
    }),
  ),
)

const mine = { user: 'ann', mutation: 'm1' } as const

function given(scopes: readonly string[] = ['site:a']): GivenHistory {
  return givenHistory().add({ kind: 'grants', atMs: 0, user: 'ann', scopes })
}

/** Somebody beside the server made an item. */
function givenItem(site: string, scopes?: readonly string[]): GivenHistory {
  return given(scopes).line({ op: 'create', after: { site, shelf: 4, name: 'x' } })
}

describe('what nobody may', () => {
  test('[SIM-92] to make a record where it cannot be seen', () => {
    const history = given().line({ ...mine, op: 'create', after: { site: 'b' } })
    expect(history.found(checker)).toEqual(['line 1: ann may not see site:b, and did create items/r1 there'])
  })

  test('[SIM-92] to change or delete one that cannot be seen', () => {
    for (const op of ['update', 'delete'] as const) {
      const history = givenItem('b').line({ ...mine, op, after: op === 'update' ? { site: 'a' } : null })
      expect(history.found(checker)).toEqual([
        `line 2: ann may not see site:b and shelf:4, and did ${op} items/r1 there`,
      ])
    }
  })

  test('[SIM-92] to go on with rights that ended long ago', () => {
    const history = givenItem('a').add({ kind: 'grants', atMs: 1_000, user: 'ann', scopes: [] })
    expect(
      history
        .wait(7_000)
        .line({ ...mine, after: { name: 'y' } })
        .found(checker),
    ).toHaveLength(1)
  })
})

describe('what is right', () => {
  test('[SIM-92] to write where it can be seen, by one of its scopes, and where everybody sees it', () => {
    expect(
      givenItem('a')
        .line({ ...mine, after: { name: 'y' } })
        .found(checker),
    ).toEqual([])
    expect(
      givenItem('b', ['shelf:4'])
        .line({ ...mine, after: { name: 'y' } })
        .found(checker),
    ).toEqual([])
    expect(
      givenItem('b', ['*'])
        .line({ ...mine, op: 'delete' })
        .found(checker),
    ).toEqual([])
    const note = { collection: 'notes', op: 'create', after: { body: '' } } as const
    expect(
      given([])
        .line({ ...mine, ...note })
        .found(checker),
    ).toEqual([])
  })

  test('[SIM-92] to move a record out of sight, and what a request does that began before the rights ended', () => {
    expect(
      givenItem('a')
        .line({ ...mine, after: { site: 'b', shelf: null } })
        .found(checker),
    ).toEqual([])
    const late = givenItem('a').add({ kind: 'grants', atMs: 1_000, user: 'ann', scopes: [] }).wait(1_500)
    expect(late.line({ ...mine, after: { name: 'y' } }).found(checker)).toEqual([])
  })

  test('[SIM-92] not looked at: what somebody beside the server does, and records that are deleted or unknown', () => {
    expect(
      givenItem('b')
        .line({ after: { name: 'y' } })
        .found(checker),
    ).toEqual([])
    const restored = givenItem('b')
      .line({ op: 'delete' })
      .line({ ...mine, op: 'restore', after: { site: 'b' } })
    expect(restored.found(checker)).toEqual([])
    expect(
      given()
        .line({ ...mine, after: { name: 'y' } })
        .found(checker),
    ).toEqual([])
  })
})
