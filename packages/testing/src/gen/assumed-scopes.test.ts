import { collection, defineSchema, integer, isUuid, reference, text } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import { marksOf } from '../check/scope-marks.ts'
import { assumeScopes } from './assumed-scopes.ts'
import { placesOf } from './places.ts'

describe('who is assumed to see what', () => {
  test('[SIM-70] a team has two scopes of a template, and another team has others', () => {
    const assumed = assumeScopes(
      defineSchema({
        version: 1,
        collections: {
          items: collection({ fields: { warehouseId: text() }, scope: 'warehouse:{warehouseId}' }),
          moves: collection({
            fields: { from: text(), to: text() },
            scope: ['warehouse:{from}', 'warehouse:{to}'],
          }),
        },
      }),
    )
    expect(assumed.hasTeams).toBe(true)
    expect(assumed.scopesOf(0, 7)).toEqual(['warehouse:t0a', 'warehouse:t0b'])
    expect(assumed.scopesOf(1, 8)).toEqual(['warehouse:t1a', 'warehouse:t1b'])
    expect(assumed.scopesOf(0, 3)).toBe(assumed.scopesOf(0, 7))
    expect(assumed.sentences[0]).toBe(
      '`warehouse:{warehouseId}`: each team has 2 of them, and everybody in it sees both.',
    )
  })

  test.each(['user:{ownerId}', 'owner:{by}', 'desk:{assigneeId}', 'me/{driver}'])(
    '[SIM-70] %s is one for each person',
    (scope) => {
      const name = /\{(.*)\}/.exec(scope)?.[1] ?? ''
      const schema = defineSchema({
        version: 1,
        collections: { notes: collection({ fields: { [name]: text() }, scope }) },
      })
      const { scopesOf, sentences } = assumeScopes(schema)
      const own = scope.replace(/\{.*\}/, 't0u5')
      expect(scopesOf(0, 5)[0]).toBe(own)
      expect(scopesOf(0, 6)[0]).not.toBe(own)
      expect(sentences).toEqual([`\`${scope}\`: everybody has one of their own.`])
    },
  )

  test.each(['customer:{customerId}', 'home:{homeId}', 'remember:{thing}'])(
    '[SIM-70] %s is shared by a team',
    (scope) => {
      const name = /\{(.*)\}/.exec(scope)?.[1] ?? ''
      const schema = defineSchema({
        version: 1,
        collections: { notes: collection({ fields: { [name]: text() }, scope }) },
      })
      expect(assumeScopes(schema).scopesOf(0, 1)).toHaveLength(2)
    },
  )

  test('[SIM-70] a nested template gives a team one of the outer and two of the inner', () => {
    const schema = defineSchema({
      version: 1,
      collections: {
        jobs: collection({ fields: { orgId: text(), siteId: text() }, scope: 'org:{orgId}/site:{siteId}' }),
      },
    })
    expect(assumeScopes(schema).scopesOf(2, 0)).toEqual(['org:t2a/site:t2a', 'org:t2a/site:t2b'])
  })

  test('[SIM-70] where everybody sees a collection there is one team', () => {
    const schema = defineSchema({
      version: 1,
      collections: { news: collection({ fields: { title: text() } }) },
    })
    const { hasTeams, sentences, scopesOf } = assumeScopes(schema)
    expect(hasTeams).toBe(false)
    expect(sentences).toEqual(['no scope (`global`): everybody sees every row.'])
    expect(marksOf(scopesOf(0, 0))).toEqual(new Set(['t0']))
  })

  test('[SIM-70] a scope that is named after a record names one that will be there', () => {
    const schema = defineSchema({
      version: 1,
      collections: {
        shops: collection({ fields: { name: text() } }),
        sales: collection({ fields: { shopId: reference('shops') }, scope: 'shop:{shopId}' }),
      },
    })
    const { scopesOf, namedRecords } = assumeScopes(schema)
    const records = namedRecords([
      { tenant: 0, user: 0 },
      { tenant: 0, user: 1 },
    ])
    expect(records.map((each) => each.collection)).toEqual(['shops', 'shops'])
    expect(records.every(({ id }) => isUuid(id))).toBe(true)
    expect(scopesOf(0, 0)).toEqual([...records.map(({ id }) => `shop:${id}`), 'team:t0'])
  })

  test('[SIM-70] what is granted can be turned back into the fields of a row', () => {
    const schema = defineSchema({
      version: 1,
      collections: { tills: collection({ fields: { branch: integer() }, scope: 'branch:{branch}' }) },
    })
    const tills = schema.collections.get('tills')
    expect(tills && placesOf(tills, assumeScopes(schema).scopesOf(3, 0))).toEqual([
      [{ branch: 31 }, { branch: 32 }],
    ])
  })
})
