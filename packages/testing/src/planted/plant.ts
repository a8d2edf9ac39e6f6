/** A bug put into the shipped code on purpose: a catalogue of them shows that the tests see what they are there for. */
export interface Plant {
  /** Short and fixed. */
  readonly id: string
  /** What it brings back: a hard case such as `B17`, or the rule of the specification that it breaks. */
  readonly case: string
  /** The file it lies in, from the root of the repository. */
  readonly file: string
  readonly edits: readonly Edit[]
  /** What happens to a user. */
  readonly story: string
  /** Checkers that may see it. */
  readonly expect: readonly string[]
  /** Who is to find it: the simulator unless said, a systematic lane, or real processes. */
  readonly seenBy?: Hunter
}

/** A way of looking for bugs. */
export type Hunter = 'sim' | 'lane' | 'chaos'

/** One replacement in a source text. */
export interface Edit {
  /** Another file than the plant's own. */
  readonly file?: string
  /** Occurs exactly once in the file. */
  readonly find: string
  readonly replace: string
}

/** The files a plant changes, from the root of the repository, each once. */
export function filesOf(plant: Plant): readonly string[] {
  return [...new Set(plant.edits.map((edit) => edit.file ?? plant.file))]
}

/** The text of a file with the bug in it. Throws when an edit does not fit in exactly one place: the source has moved on. */
export function plantedText(plant: Plant, file: string, text: string): string {
  let planted = text
  for (const { find, replace } of plant.edits.filter((edit) => (edit.file ?? plant.file) === file)) {
    const count = planted.split(find).length - 1
    if (count !== 1) {
      throw new Error(`${plant.id}: ${file} holds ${count} times, not once: ${JSON.stringify(find)}`)
    }
    // A function, so that a $ in the text stays one.
    planted = planted.replace(find, () => replace)
  }
  return planted
}
