import { newUuid } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import { createShopWorld, itemsOf } from './scenarios/shop-world.ts'
import { createVirtualEnvironment } from './virtual-environment.ts'

describe('a virtual environment', () => {
  test('[ENV-2] lets no time pass by itself, and fires timers in the order they are due', async () => {
    const env = createVirtualEnvironment({ startAt: '2026-01-01T00:00:00.000Z' })
    const fired: string[] = []
    env.setTimer(() => fired.push(`late at ${env.monotonicMs()}`), 2_000)
    env.setTimer(() => fired.push(`early at ${env.monotonicMs()}`), 1_000)
    env.setTimer(() => fired.push('called off'), 1_500)()
    await env.settle()
    expect(fired).toEqual([])
    await env.advance(1_999)
    expect(fired).toEqual(['early at 1000'])
    await env.advance(1)
    expect(fired).toEqual(['early at 1000', 'late at 2000'])
    expect(new Date(env.now()).toISOString()).toBe('2026-01-01T00:00:02.000Z')
  })

  test('[ENV-2] finishes what a timer starts before the next one fires', async () => {
    const env = createVirtualEnvironment()
    const steps: string[] = []
    env.setTimer(() => {
      void (async () => {
        for (let step = 0; step < 50; step++) await Promise.resolve()
        steps.push('first is done')
      })()
    }, 10)
    env.setTimer(() => steps.push('second fires'), 10)
    await env.advance(10)
    expect(steps).toEqual(['first is done', 'second fires'])
  })

  test('[ENV-2] waits for work as long as it has timers, and no longer', async () => {
    const env = createVirtualEnvironment()
    const slow = new Promise<string>((resolve) => void env.setTimer(() => resolve('there'), 5_000))
    expect(await env.complete(slow)).toBe('there')
    await expect(env.complete(new Promise(() => undefined))).rejects.toThrow('not over')
  })

  test('[ENV-2] has a wall clock that can jump without any timer noticing', async () => {
    const env = createVirtualEnvironment({ startAt: 0 })
    let fired = 0
    env.setTimer(() => fired++, 1_000)
    env.jumpClock(86_400_000)
    await env.advance(0)
    expect([env.now(), env.monotonicMs(), fired, env.timerCount]).toEqual([86_400_000, 0, 0, 1])
  })

  test('[ENV-2] draws the same chance from the same seed', () => {
    const draw = (seed: number): string => newUuid(createVirtualEnvironment({ seed }))
    expect(draw(7)).toBe(draw(7))
    expect(draw(7)).not.toBe(draw(8))
  })

  test('[ENV-2] without a network fails every request as a network does', async () => {
    await expect(createVirtualEnvironment().fetch(new Request('https://nowhere.example'))).rejects.toThrow(
      TypeError,
    )
  })
})

test('[ENV-1] two runs of device and server with one seed are the same to the byte', async () => {
  const run = async (): Promise<string> => {
    const world = createShopWorld({ seed: 42 })
    const bodies: string[] = []
    world.env.connect(async (request) => {
      bodies.push(`${request.url} ${await request.clone().text()}`)
      return world.server.fetch(request)
    })
    const db = await world.open({ auto: true })
    world.server.script({ on: ({ index }) => index % 3 === 1, fault: { kind: 'cut', when: 'after' } })
    for (let step = 0; step < 10; step++) {
      const id = await db.items.insert({ name: `item ${step}` })
      await db.items.increment(id, { stock: step })
      await world.env.advance(7_000)
    }
    const rows = JSON.stringify(await itemsOf(db))
    await world.close()
    return [...bodies, rows].join('\n')
  }
  expect(await run()).toBe(await run())
})
