import { parseArgs } from 'node:util'

/** What the command line said. */
export interface TourOptions {
  /** 0 takes any free port. */
  readonly port: number
  /** Ends after the stories; the exit code says whether all came true. */
  readonly isOnce: boolean
  /** Reads commands from stdin even when that is no terminal. */
  readonly wantsPrompt: boolean
  /** Goes straight to the prompt or the waiting. */
  readonly skipsStories: boolean
  readonly wantsHelp: boolean
}

/** The text of `--help`. */
export const usage = `npm start -- [options]

  --port <n>   the server's port on 127.0.0.1; any free one unless said
  --once       play the stories and end; exit code 0 only if all came true and
               both devices and the server hold the same rows
  --prompt     read commands from stdin even when it is not a terminal
  --skip       go straight to the prompt, without the stories
  --help       this text
`

/** Reads the command line; a text says what is wrong with it. */
export function parseOptions(argv: readonly string[]): TourOptions | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        port: { type: 'string', default: '0' },
        once: { type: 'boolean', default: false },
        prompt: { type: 'boolean', default: false },
        skip: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    const port = Number(values.port)
    if (!/^\d+$/.test(values.port) || port > 65_535)
      return `--port takes a number up to 65535, not ${values.port}`
    return {
      port,
      isOnce: values.once,
      wantsPrompt: values.prompt,
      skipsStories: values.skip,
      wantsHelp: values.help,
    }
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}
