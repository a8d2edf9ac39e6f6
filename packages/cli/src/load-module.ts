import { existsSync, statSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { CommandError, firstLine } from './command-error.ts'

let areHooksRegistered = false

/**
 * What a module of the user exports. The file may lie anywhere: packages of Holdfast that its own folder cannot find are
 * found from here. Errors: CommandError, one line.
 */
export async function loadModule(file: string, what: string): Promise<Readonly<Record<string, unknown>>> {
  const path = resolve(file)
  if (!existsSync(path) || !statSync(path).isFile())
    throw new CommandError(`${what} file ${path} does not exist.`)
  findHoldfastFromHere()
  try {
    // An import gives a namespace object, whose members are whatever the file exports.
    return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw new CommandError(`${what} file ${path} cannot be loaded: ${placeOf(cause)}${firstLine(cause)}`, {
      cause,
    })
  }
}

function findHoldfastFromHere(): void {
  if (areHooksRegistered) return
  areHooksRegistered = true
  registerHooks({
    resolve: (specifier, context, nextResolve) => {
      if (!specifier.startsWith('@holdfast/')) return nextResolve(specifier, context)
      try {
        return nextResolve(specifier, context)
      } catch {
        // Its own folder does not have it.
        return nextResolve(specifier, { ...context, parentURL: import.meta.url })
      }
    },
  })
}

/** Where in a text that cannot be read the mistake is: Node begins the stack of such an error with it, and of no other. */
function placeOf(cause: unknown): string {
  const [first = ''] = (cause instanceof Error ? (cause.stack ?? '') : '').split('\n')
  const [, file, line] = /^(?:file:\/\/)?\/.*?([^/]+):(\d+)$/.exec(first) ?? []
  return file === undefined ? '' : `${file}, line ${line}: `
}
