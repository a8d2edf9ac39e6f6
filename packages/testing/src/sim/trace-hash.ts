import type { Observation } from '../check/observation.ts'

/** Members that tell two runs apart; bodies are told apart by the numbers and ids around them. */
const told = [
  'kind',
  'atMs',
  'disk',
  'device',
  'seq',
  'id',
  'record',
  'status',
  'verdict',
  'offer',
  'version',
  'n',
  'position',
  'call',
  'result',
  'code',
  'mutation',
  'route',
  'user',
  'value',
] as const

/** A fingerprint of everything observed so far: the same for two runs that were the same. Source: FNV-1a, 32 bits. */
export class TraceHash {
  #hash = 0x811c9dc5

  add(observation: Observation): void {
    // Every observation is an object of plain members; those it does not have count as nothing.
    const members = observation as unknown as Readonly<Record<string, unknown>>
    for (const name of told) {
      const value = members[name]
      if (typeof value === 'string') this.#text(value)
      else if (typeof value === 'number') this.#number(value)
      else this.#mix(value === null ? 1 : 0)
    }
  }

  /** Eight hexadecimal digits. */
  text(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  #text(text: string): void {
    for (let index = 0; index < text.length; index++) this.#mix(text.charCodeAt(index))
  }

  #number(value: number): void {
    this.#mix(value | 0)
    this.#mix((value * 1_024) | 0)
  }

  #mix(part: number): void {
    this.#hash = Math.imul(this.#hash ^ part, 0x01000193)
  }
}
