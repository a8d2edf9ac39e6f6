import { SeededRandom } from '../seeded-random.ts'
import { type Choose, explore } from './explore.ts'
import { playStory, type Story } from './interleave.ts'
import type { Violation } from '../check/checker.ts'
import type { Extent, Lane, Observe, Ran } from './lane.ts'
import { stories } from './stories.ts'

/** Orders of a story that are played for every change of the code: messages first, steps first, and one that is drawn. */
const partOrders: readonly (() => Choose)[] = [
  () => (choices) => choices[0]?.name ?? null,
  () => (choices) => choices.at(-1)?.name ?? null,
  () => {
    const random = new SeededRandom(1)
    return (choices) => choices[random.below(choices.length)]?.name ?? null
  },
]

/** Each delicate protocol in every order of its steps and messages. Rules: SIM-42. */
export const interleavings: Lane = {
  name: 'interleavings',
  unit: 'orders',
  isQuick: true,
  cases: stories.map((story) => ({
    name: story.name,
    group: story.name,
    least: story.leastOrders,
    runs: (extent: Extent) =>
      extent === 'all' ? explore((choose) => playOrder(story, choose)) : someOrders(story),
    replay: (run: string, observe: Observe) => replayOrder(story, run, observe),
  })),
}

async function* someOrders(story: Story): AsyncGenerator<Ran, void, void> {
  for (const chooser of partOrders) yield await playOrder(story, chooser())
}

/** An order that was called off because another of the same worth was played is not counted. */
async function playOrder(story: Story, choose: Choose): Promise<Ran> {
  const order: string[] = []
  const { violations, isCalledOff } = await playStory(story, (choices) => {
    const name = choose(choices)
    if (name !== null) order.push(name)
    return name
  })
  const [violation] = violations
  return { worth: isCalledOff ? 0 : 1, failure: violation ? { run: order.join(', '), violation } : null }
}

async function replayOrder(story: Story, run: string, observe: Observe): Promise<readonly Violation[]> {
  const names = run.split(', ')
  const { violations } = await playStory(story, () => names.shift() ?? null, observe)
  return violations
}
