import { parseArgs, type ParseArgsConfig, type ParseArgsOptionsConfig } from 'node:util'

/** What a number on a command line may be. */
export interface NumberRange {
  readonly least: number
  readonly most?: number
  /** Whole unless said. */
  readonly isFraction?: boolean
}

/** Ends the process with one line that says what cannot be done, and 1. */
export function endWith(line: string): never {
  process.stderr.write(`${line}; try --help\n`)
  process.exit(1)
}

/**
 * Reads the command line of a program of this package; what it does not know ends it. A search that did not do what was
 * meant would pass for one that found nothing. `words`: those it takes beside its options. Rules: SIM-79.
 */
export function readCommandLine<const Options extends ParseArgsOptionsConfig>(
  options: Options,
  {
    words = [],
    ...more
  }: Pick<ParseArgsConfig, 'allowNegative'> & { readonly words?: readonly string[] } = {},
): ReturnType<typeof parseArgs<{ options: Options }>>['values'] {
  try {
    const { values, positionals } = parseArgs({ options, ...more, allowPositionals: true })
    const unknown = positionals.find((each) => !words.includes(each))
    if (unknown !== undefined) endWith(`nobody knows what to do with "${unknown}"`)
    return values
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    const [line = ''] = error.message.split('\n')
    return endWith(line.replace(/\.(?: To specify.*)?$/, ''))
  }
}

/** A number of an option; undefined where none was given. What is none ends the process. */
export function numberOf<Text extends string | undefined>(
  name: string,
  text: Text,
  { least, most = 2 ** 31, isFraction = false }: NumberRange,
): number | (Text extends string ? never : undefined) {
  // What was not given has no number, which is what the type says of it.
  if (text === undefined) return undefined as Text extends string ? never : undefined
  const value = (isFraction ? /^\d+(\.\d+)?$/ : /^\d+$/).test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  return endWith(`--${name} is a ${isFraction ? '' : 'whole '}number from ${least} to ${most}, not "${text}"`)
}

/** One of a few words of an option. Another one ends the process. */
export function wordOf<const Word extends string>(name: string, text: string, words: readonly Word[]): Word {
  const word = words.find((each) => each === text)
  return word ?? endWith(`--${name} is one of ${words.join(', ')}, not "${text}"`)
}
