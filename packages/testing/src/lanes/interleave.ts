import type { Checker } from '../check/checker.ts'
import type { Observation, RunEnded } from '../check/observation.ts'
import type { SimDevice } from '../sim/sim-device.ts'
import type { Leg, Strike } from '../sim/strike.ts'
import type { Choice, Choose } from './explore.ts'
import {
  CalledOff,
  type LaneResult,
  type Expected,
  problemsOf,
  runLane,
  type Scenario,
} from './run-scenario.ts'
import type { Stage } from './stage.ts'

/** Something an actor of a story does, at whatever moment it is its turn. It begins, and nobody waits for its end. */
export interface StoryStep {
  readonly name: string
  /** Whom it concerns: `server`, or a device such as `d0`. */
  readonly touches: readonly string[]
  /** Whether it can be done now; always unless said. */
  readonly isPossible?: (stage: Stage) => boolean
  readonly act: (stage: Stage) => void
  /** How long everything goes on by itself after it, virtual ms. */
  readonly passMs?: number
}

/** Actors, messages and what must be so whatever the order. */
export interface Story {
  readonly name: string
  readonly devices: Scenario['devices']
  readonly world?: Scenario['world']
  readonly given?: (stage: Stage) => Promise<void>
  /** By actor, what it does, in its order. */
  readonly actors: Readonly<Record<string, readonly StoryStep[]>>
  /** Transactions of these devices wait for their turn as messages do. */
  readonly slowDisks?: readonly string[]
  /** Moves after the last step that are still tried in every order; then messages arrive as they were sent. */
  readonly tail: number
  /** Messages that do not wait for their turn. */
  readonly isQuick?: (leg: Leg) => boolean
  /** One of these is the end. */
  readonly expected: readonly Expected[]
  /** Watched by these alone, where no simulated disk tells of what devices do; all unless said. */
  readonly checkers?: readonly Checker[]
  /** Brings to rest what the world knows nothing of; gives what is wrong with it then. */
  readonly finish?: (stage: Stage) => Promise<readonly string[]>
  /** Frees what `given` made, whatever came of the run. */
  readonly dispose?: (stage: Stage) => Promise<void>
  /** What is wrong right now; asked after each move. */
  readonly probe?: (stage: Stage) => string | undefined
}

interface Move extends Choice {
  readonly passMs?: number
  readonly go: () => void
  /** Whoever waits for it has died since. */
  readonly isVoid: () => boolean
}

/** Between two moves, virtual ms: timers of the engines and the pokes of the server come in between. */
const tickMs = 20

/** What is on its way this long after the last step is not waited for, virtual ms. */
const lingerMs = 400

/** No story has so many; one that never ends is a mistake. */
const moveMax = 400

/** Plays a story in the order that `choose` gives, then heals and audits. Rules: SIM-42. */
export function playStory(
  story: Story,
  choose: Choose,
  observe?: (observation: Observation) => void,
): Promise<LaneResult> {
  const wrong: string[] = []
  return runLane({
    devices: story.devices,
    durability: 'full',
    world: story.world,
    given: story.given,
    checkers: story.checkers,
    act: async (stage) => {
      const schedule = new Schedule(stage, story)
      stage.world.strike = schedule.strike
      try {
        await schedule.play(choose, wrong)
        stage.world.strike = {}
        await stage.online(...story.devices.keys())
        wrong.push(...((await story.finish?.(stage)) ?? []))
      } finally {
        stage.world.strike = {}
        await story.dispose?.(stage)
      }
    },
    observe,
    problems: (end) => [...wrong, ...endProblems(story.expected, end)],
  })
}

/** Nothing when one of the ends that are right is there; otherwise what is wrong with the one that is nearest. */
function endProblems(expected: readonly Expected[], end: RunEnded): readonly string[] {
  const found = expected.map((each) => problemsOf(each, end))
  return found.toSorted((left, right) => left.length - right.length)[0] ?? []
}

class Schedule {
  readonly strike: Strike
  readonly #stage: Stage
  readonly #story: Story
  readonly #steps: Map<string, readonly StoryStep[]>
  readonly #counts = new Map<string, number>()
  #held: Move[] = []

  constructor(stage: Stage, story: Story) {
    this.#stage = stage
    this.#story = story
    this.#steps = new Map(Object.entries(story.actors))
    const slow = new Set(story.slowDisks)
    this.strike = {
      carry: (leg, go) => this.#carry(leg, go),
      device: (device, sql) =>
        slow.has(device.name) && sql.startsWith('BEGIN') ? { until: this.#turnOf(device) } : undefined,
    }
  }

  /** Makes moves until no step is left and nothing is on its way. */
  async play(choose: Choose, wrong: string[]): Promise<void> {
    const { scheduler } = this.#stage.world
    let tail = 0
    for (let count = 0; count < moveMax; count++) {
      await scheduler.run(scheduler.nowMs + tickMs)
      const moves = await this.#moves()
      if (moves.length === 0) return this.#assertOver()
      if (!this.#hasSteps()) tail += 1
      const name = tail > this.#story.tail ? moves[0]?.name : choose(moves)
      if (name === null) throw new CalledOff()
      await scheduler.run(scheduler.nowMs + this.#make(moves, name))
      const problem = this.#story.probe?.(this.#stage)
      if (problem !== undefined) wrong.push(problem)
    }
    throw new Error(`the story goes on for over ${moveMax} moves`)
  }

  /** What can happen now; time passes until there is something, up to a limit. */
  async #moves(): Promise<readonly Move[]> {
    const { scheduler } = this.#stage.world
    const endMs = scheduler.nowMs + (this.#hasSteps() ? 600_000 : lingerMs)
    for (;;) {
      this.#held = this.#held.filter((move) => !move.isVoid())
      const moves = [...this.#held, ...this.#nextSteps()]
      if (moves.length > 0 || scheduler.nowMs >= endMs) return moves
      await scheduler.run(scheduler.nowMs + tickMs)
    }
  }

  #hasSteps(): boolean {
    return [...this.#steps.values()].some((left) => left.length > 0)
  }

  #nextSteps(): readonly Move[] {
    return [...this.#steps].flatMap(([actor, [step]]) => {
      if (!step || step.isPossible?.(this.#stage) === false) return []
      return {
        name: `${actor}: ${step.name}`,
        // Whose clock is read first decides which of two edits is the later one.
        touches: [...step.touches, 'time'],
        isVoid: () => false,
        passMs: step.passMs,
        go: () => {
          this.#steps.set(actor, this.#steps.get(actor)?.slice(1) ?? [])
          step.act(this.#stage)
        },
      }
    })
  }

  /** How long everything goes on after it. */
  #make(moves: readonly Move[], name: string | undefined): number {
    const move = moves.find((each) => each.name === name)
    if (!move) throw new Error(`there is no move ${name}`)
    this.#held = this.#held.filter((each) => each !== move)
    move.go()
    return move.passMs ?? 0
  }

  #carry(leg: Leg, go: () => void): boolean {
    if (this.#story.isQuick?.(leg)) return false
    const { kind, sender, route } = leg
    this.#hold({
      name: this.#numbered(`${sender.name} ${route} ${kind}`),
      touches: [kind === 'request' ? 'server' : sender.name],
      isVoid: () => kind !== 'request' && !sender.life.isAlive,
      go,
    })
    return true
  }

  #turnOf(device: SimDevice): Promise<void> {
    const { life, name } = device
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#hold({
      name: this.#numbered(`${name} transaction`),
      touches: [name],
      isVoid: () => !life.isAlive,
      go: resolve,
    })
    return promise
  }

  #hold(move: Move): void {
    this.#held.push(move)
  }

  #numbered(name: string): string {
    const count = (this.#counts.get(name) ?? 0) + 1
    this.#counts.set(name, count)
    return `${name} ${count}`
  }

  #assertOver(): void {
    if (!this.#hasSteps()) return
    const left = [...this.#steps.values()].flatMap((steps) => steps[0]?.name ?? [])
    throw new Error(`nothing happens any more, and nobody could ${left.join(' or ')}`)
  }
}
