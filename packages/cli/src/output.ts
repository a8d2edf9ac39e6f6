import pico from 'picocolors'

/** Where a command writes, and whether colours mean anything there. */
export interface Output {
  readonly line: (text: string) => void
  readonly colors: ReturnType<typeof pico.createColors>
}

/** Standard output; colours only on a terminal that wants them. */
export function standardOutput(): Output {
  // A pipe has no isTTY at all, and no answer would let the library decide: it colours whatever runs where CI is set.
  const isColored = process.stdout.isTTY === true && pico.isColorSupported
  return {
    line: (text) => void process.stdout.write(`${text}\n`),
    colors: pico.createColors(isColored),
  }
}
