import type { Grants, User } from '@holdfast/server'
import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'

import { CommandError, firstLine } from './command-error.ts'
import { loadModule } from './load-module.ts'

/** What a user may see now. */
export type ScopesOf = (user: User) => Grants | Promise<Grants>

type ScopesByUser = ReadonlyMap<string, Grants>

/**
 * Reads who may see what: everything without a file; a JSON file that is looked at for every request, so that rights can
 * change while the server runs; or a module that exports `scopes`. Errors: CommandError, at the start only.
 */
export async function loadScopes(file: string | undefined, warn: (line: string) => void): Promise<ScopesOf> {
  if (file === undefined) return () => '*'
  if (!file.endsWith('.json')) return scopesOfModule(file)
  return scopesOfJson(resolve(file), warn)
}

async function scopesOfModule(file: string): Promise<ScopesOf> {
  const { scopes } = await loadModule(file, 'scopes')
  if (!isFunction(scopes)) throw new CommandError(`scopes file ${file} exports no function scopes(user).`)
  return async (user) => {
    const grants = parseGrants(await scopes(user))
    if (grants !== undefined) return grants
    throw new Error('scopes(user) returned neither a list of scopes nor "*"')
  }
}

function isFunction(value: unknown): value is (user: User) => unknown {
  return typeof value === 'function'
}

function scopesOfJson(path: string, warn: (line: string) => void): ScopesOf {
  let scopesByUser = readScopes(path)
  let stamp = fileStamp(path)
  return ({ id }) => {
    const nextStamp = fileStamp(path)
    if (nextStamp !== stamp) {
      stamp = nextStamp
      try {
        scopesByUser = readScopes(path)
      } catch (error) {
        // Half-written or gone: what held before holds on, and the next change is looked at again.
        warn(firstLine(error))
      }
    }
    return scopesByUser.get(id) ?? scopesByUser.get('*') ?? []
  }
}

function fileStamp(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true })
  return stat === undefined ? 'gone' : `${stat.mtimeNs}:${stat.size}:${stat.ino}`
}

function readScopes(path: string): ScopesByUser {
  const value = readJson(path)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badScopes(path)
  const entries = Object.entries(value).map(([user, given]): [string, Grants] => {
    const grants = parseGrants(given)
    if (grants === undefined) throw badScopes(path)
    return [user, grants]
  })
  return new Map(entries)
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new CommandError(`scopes file ${path} cannot be read: ${firstLine(cause)}`, { cause })
  }
}

/** `"*"` by itself or in a list grants everything. */
function parseGrants(value: unknown): Grants | undefined {
  if (value === '*') return '*'
  if (!Array.isArray(value) || !value.every((scope) => typeof scope === 'string')) return undefined
  return value.includes('*') ? '*' : value
}

function badScopes(path: string): CommandError {
  return new CommandError(`scopes file ${path} is not of the form { "user": ["scope"], "*": [] }.`)
}
