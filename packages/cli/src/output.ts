import pico from 'picocolors'

/** Where a command writes, and whether colours mean anything there. */
export interface Output {
  readonly line: (text: string) => void
  readonly colors: ReturnType<typeof pico.createColors>
}

/** Standard output; colours only on a terminal that wants them. */
export function standardOutput(): Output {
  const isColored = process.stdout.isTTY && pico.isColorSupported
  return {
    line: (text) => void process.stdout.write(`${text}\n`),
    colors: pico.createColors(isColored),
  }
}
