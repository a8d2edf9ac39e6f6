import { explore } from './explore.ts'
import { playStory, type Story } from './interleave.ts'
import type { Violation } from '../check/checker.ts'
import type { Extent, Lane, Observe, Ran } from './lane.ts'
import { stories } from './stories.ts'

/** Orders of a story that are played for every change of the code: those that come first, one after the other. */
const partOrders = 3

/** Each delicate protocol in every order of its steps and messages. Rules: SIM-42. */
export const interleavings: Lane = {
  name: 'interleavings',
  unit: 'orders',
  cases: stories.map((story) => ({
    name: story.name,
    group: story.name,
    least: story.leastOrders,
    runs: (extent: Extent) => everyOrder(story, extent === 'all' ? Number.POSITIVE_INFINITY : partOrders),
    replay: (run: string, observe: Observe) => replayOrder(story, run, observe),
  })),
}

/** Orders that were called off because another of the same worth was played are not counted. */
async function* everyOrder(story: Story, orderMax: number): AsyncGenerator<Ran, void, void> {
  let count = 0
  let order: string[] = []
  const runs = explore((choose) => {
    order = []
    return playStory(story, (choices) => {
      const name = choose(choices)
      if (name !== null) order.push(name)
      return name
    })
  })
  for await (const { violations, isCalledOff } of runs) {
    const [violation] = violations
    const worth = isCalledOff ? 0 : 1
    yield { worth, failure: violation ? { run: order.join(', '), violation } : null }
    count += worth
    if (count >= orderMax) return
  }
}

async function replayOrder(story: Story, run: string, observe: Observe): Promise<readonly Violation[]> {
  const names = run.split(', ')
  const { violations } = await playStory(story, () => names.shift() ?? null, observe)
  return violations
}
