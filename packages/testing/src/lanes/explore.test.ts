import { describe, expect, test } from 'vitest'

import { type Choice, explore } from './explore.ts'

/** Actors that each do their steps in order; gives every order that was run to its end. */
async function ordersOf(actors: Readonly<Record<string, readonly Choice[]>>): Promise<readonly string[]> {
  const orders: string[] = []
  const runs = explore(async (choose) => {
    const left = new Map(Object.entries(actors).map(([name, steps]) => [name, [...steps]]))
    const done: string[] = []
    for (;;) {
      const choices = [...left.values()].flatMap(([first]) => first ?? [])
      if (choices.length === 0) return done.join(' ')
      const name = choose(choices)
      if (name === null) return null
      done.push(name)
      for (const steps of left.values()) if (steps[0]?.name === name) steps.shift()
    }
  })
  for await (const order of runs) if (order !== null) orders.push(order)
  return orders
}

const steps = (names: string, ...touches: readonly string[]): readonly Choice[] =>
  names.split('').map((name) => ({ name, touches }))

describe('exploring', () => {
  test('[SIM-42] steps that concern the same thing come in every order, each once', async () => {
    const orders = await ordersOf({ one: steps('abc', 'disk'), two: steps('xyz', 'disk') })
    expect(orders.length).toBe(20)
    expect(new Set(orders).size).toBe(20)
    expect(orders).toContain('a b c x y z')
    expect(orders).toContain('x a y b z c')
  })

  test('[SIM-42] steps that concern different things come in one order', async () => {
    expect(await ordersOf({ one: steps('abc', 'disk'), two: steps('xyz', 'server') })).toEqual([
      'a b c x y z',
    ])
  })

  test('[SIM-42] three actors of which two meet: as many orders as the two have', async () => {
    const actors = { one: steps('ab', 'disk'), two: steps('xy', 'disk'), three: steps('pqr', 'server') }
    expect((await ordersOf(actors)).length).toBe(6)
  })

  test('[SIM-42] a story that is not the same every time is found out', async () => {
    let count = 0
    const run = async (): Promise<void> => {
      const runs = explore((choose) => {
        count += 1
        choose([
          { name: `a${count}`, touches: ['disk'] },
          { name: 'b', touches: ['disk'] },
        ])
        choose([
          { name: count === 1 ? 'c' : 'd', touches: ['disk'] },
          { name: 'e', touches: ['disk'] },
        ])
        return Promise.resolve()
      })
      for await (const _ of runs) continue
    }
    await expect(run()).rejects.toThrow('the story is not the same every time')
  })
})
