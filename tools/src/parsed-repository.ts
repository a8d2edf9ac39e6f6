import { readSourceFiles } from './source-files.ts'
import { type ParsedFile, parseSource } from './syntax.ts'

let parsedOnce: readonly ParsedFile[] | undefined

/** Every source file of the repository, parsed once per process. */
export function parsedRepository(): readonly ParsedFile[] {
  parsedOnce ??= readSourceFiles().map(parseSource)
  return parsedOnce
}
