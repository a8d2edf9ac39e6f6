import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'

import type { CaseResult } from './lane.ts'

/** Packages whose sources decide what a run of a lane does. */
const packages = ['core', 'client', 'server', 'testing'] as const

/**
 * A file of what is done already, a line of JSON for each case, so that a pass can be stopped, or end by accident, and
 * go on. The first line says of which pass and which sources it is: what was found of other code counts for nothing.
 * Rules: SIM-46.
 */
export class PassRecord {
  /** What earlier sittings found. */
  readonly results: readonly CaseResult[]
  readonly #path: string

  private constructor(path: string, results: readonly CaseResult[]) {
    this.#path = path
    this.results = results
  }

  /** Opens the file, or begins it. `about`: what the pass is, and the sources it is of. Throws where it is another one. */
  static open(path: string, about: string): PassRecord {
    const head = JSON.stringify({ about })
    if (!existsSync(path)) {
      writeFileSync(path, `${head}\n`)
      return new PassRecord(path, [])
    }
    const [first, ...lines] = readFileSync(path, 'utf8').split('\n')
    if (first !== head) throw new Error(`${path} is of another pass or of other sources: begin a new one`)
    // Whoever died in the middle of a line left one that is not ended; the next one must not be added to it.
    const torn = lines.pop()
    if (torn !== '') writeFileSync(path, [head, ...lines, ''].join('\n'))
    // Written below.
    return new PassRecord(
      path,
      lines.map((line) => JSON.parse(line) as CaseResult),
    )
  }

  add(result: CaseResult): void {
    appendFileSync(this.#path, `${JSON.stringify(result)}\n`)
  }
}

/** A name for the sources that are there now. */
export function sourcesName(): string {
  const hash = createHash('sha256')
  for (const name of packages) {
    const folder = new URL(`../../../${name}/src/`, import.meta.url)
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .sort()
    for (const file of files) hash.update(file).update(readFileSync(new URL(file, folder)))
  }
  return hash.digest('hex').slice(0, 16)
}
