import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** What the command line said. */
export interface StockroomOptions {
  /** 0 takes any free port; null when none was asked for. */
  readonly port: number | null
  /** Where the warehouse of the web app is kept. */
  readonly folder: string
  /** The tour in the terminal instead of the web app; said by any of its own options. */
  readonly isTour: boolean
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

Serves the web app on 127.0.0.1, or plays the tour in the terminal.

  --port <n>   the server's port; 4280 for the web app and any free one for the
               tour unless said
  --data <dir> where the web app's server stores what it has; inside the
               repository unless said, and kept
  --tour       play the tour
  --once       play the stories and end; exit code 0 only if all came true and
               both devices and the server hold the same rows
  --prompt     read commands from stdin even when it is not a terminal
  --skip       go straight to the prompt, without the stories
  --help       this text
`

const usualFolder = join(fileURLToPath(new URL('../', import.meta.url)), '.data')

/** Reads the command line; a text says what is wrong with it. */
export function parseOptions(argv: readonly string[]): StockroomOptions | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        port: { type: 'string' },
        data: { type: 'string', default: usualFolder },
        tour: { type: 'boolean', default: false },
        once: { type: 'boolean', default: false },
        prompt: { type: 'boolean', default: false },
        skip: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    const port = values.port === undefined ? null : Number(values.port)
    if (port !== null && (!/^\d+$/.test(values.port ?? '') || port > 65_535))
      return `--port takes a number up to 65535, not ${values.port}`
    return {
      port,
      folder: values.data,
      isTour: values.tour || values.once || values.prompt || values.skip,
      isOnce: values.once,
      wantsPrompt: values.prompt,
      skipsStories: values.skip,
      wantsHelp: values.help,
    }
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}
