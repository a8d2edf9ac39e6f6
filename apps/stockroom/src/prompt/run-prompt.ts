import { createInterface } from 'node:readline'

import { SyncError } from '@holdfast/core'

import type { Stage } from '../stage.ts'
import { FilmFinder } from './film-finder.ts'
import { parseCommand } from './parse-command.ts'
import { performCommand } from './perform-command.ts'

/** Reads commands line by line until "quit" or the end of the input. A mistake ends a command, never the prompt. */
export async function runPrompt(
  stage: Stage,
  streams: {
    readonly input: NodeJS.ReadableStream
    readonly output: NodeJS.WritableStream
    readonly isTerminal: boolean
  },
): Promise<void> {
  const { tell } = stage.parts
  const shell = { stage, finder: new FilmFinder() }
  const reader = createInterface({
    input: streams.input,
    output: streams.isTerminal ? streams.output : undefined,
  })
  // In a terminal Ctrl-C comes here and not to the process.
  reader.on('SIGINT', () => reader.close())
  reader.setPrompt('  stockroom> ')
  if (streams.isTerminal) reader.prompt()
  for await (const line of reader) {
    const command = parseCommand(line)
    if (command.kind === 'quit') break
    try {
      await performCommand(command, shell)
    } catch (error) {
      // What the library refuses is told by its code; anything else is a defect of the tour and ends it.
      if (!(error instanceof SyncError)) throw error
      tell.say(`${error.message} (${error.code})`)
    }
    if (streams.isTerminal) reader.prompt()
  }
  reader.close()
}
