/** Something that can happen next. */
export interface Choice {
  /** The same in every run in which the same has happened to those it touches. */
  readonly name: string
  /** Whom it concerns: two that share nobody can be swapped without anybody noticing. */
  readonly touches: readonly string[]
}

/** Picks what happens next, by name; null: whatever would follow has been seen in another order. */
export type Choose = (choices: readonly Choice[]) => string | null

interface Node {
  readonly choices: readonly Choice[]
  /** Need not be tried here: tried already, or worth the same as something that was. */
  readonly asleep: Set<string>
  chosen: Choice
}

/**
 * Runs a story once for every order of what can happen, each time from its beginning; orders that differ only in the
 * places of things that do not concern each other count as one. `run` must do the same whenever it is given the same
 * answers. Yields what each run gave. Source of the reduction: sleep sets, Godefroid, "Partial-Order Methods for the
 * Verification of Concurrent Systems", 1996. Rules: SIM-42.
 */
export async function* explore<Result>(
  run: (choose: Choose) => Promise<Result>,
): AsyncGenerator<Result, void, void> {
  const trail: Node[] = []
  do {
    let depth = 0
    yield await run((choices) => {
      const node = trail[depth] ?? grow(trail, choices)
      depth += 1
      if (!node) return null
      if (!choices.some(({ name }) => name === node.chosen.name))
        throw new Error(`the story is not the same every time: there is no ${node.chosen.name} any more`)
      return node.chosen.name
    })
  } while (turnBack(trail))
}

/** A point that was not reached before. undefined: everything there is asleep. */
function grow(trail: Node[], choices: readonly Choice[]): Node | undefined {
  const last = trail.at(-1)
  const asleep = new Set<string>()
  for (const choice of last?.choices ?? []) {
    if (last?.asleep.has(choice.name) && areApart(choice, last.chosen)) asleep.add(choice.name)
  }
  const chosen = choices.find(({ name }) => !asleep.has(name))
  if (!chosen) return undefined
  const node: Node = { choices, asleep, chosen }
  trail.push(node)
  return node
}

/** Goes back to the last point at which something is left to try. False: nothing is left anywhere. */
function turnBack(trail: Node[]): boolean {
  for (let node = trail.at(-1); node; node = trail.at(-1)) {
    node.asleep.add(node.chosen.name)
    const next = node.choices.find(({ name }) => !node.asleep.has(name))
    if (next) {
      node.chosen = next
      return true
    }
    trail.pop()
  }
  return false
}

function areApart(one: Choice, other: Choice): boolean {
  return !one.touches.some((name) => other.touches.includes(name))
}
