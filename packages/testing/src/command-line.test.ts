import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const programs = {
  simulate: './sim/main.ts',
  lanes: './lanes/main.ts',
  planted: './planted/find-planted.ts',
  chaos: './chaos/run-chaos.ts',
  outer: './outer/main.ts',
} as const

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-command-line-'))
  writeFileSync(join(folder, 'other.json'), '{"hello": 1}')
})
afterAll(() => rmSync(folder, { recursive: true }))

function run(
  program: keyof typeof programs,
  ...args: readonly string[]
): { code: number | null; said: string } {
  const path = fileURLToPath(new URL(programs[program], import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, ...args], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { code: status, said: stdout + stderr }
}

describe('a program that looks for bugs', () => {
  test.each(Object.keys(programs) as (keyof typeof programs)[])(
    '[SIM-79] %s says what there is, and what it does not know in one line',
    { timeout: 120_000 },
    (program) => {
      const help = run(program, '--help')
      expect([help.code, help.said.split('\n')[0]]).toEqual([0, `npm run ${program} -- [options]`])
      expect(run(program, '--seed', '1.5')).toEqual({
        code: 1,
        said: '--seed is a whole number from 0 to 2147483648, not "1.5"; try --help\n',
      })
    },
  )

  test.each([
    ['simulate', ['--nonsense'], "Unknown option '--nonsense'"],
    ['planted', ['--nonsense'], "Unknown option '--nonsense'"],
    ['lanes', ['sequences'], 'nobody knows what to do with "sequences"'],
    ['simulate', ['--jobs', '0'], '--jobs is a whole number from 1'],
    ['simulate', ['--replay', '1e999'], '--replay is a whole number'],
    ['simulate', ['--seeds', '1', '--resume', 'other.json'], 'other.json does not hold'],
    ['lanes', ['--lane', 'nowhere'], 'there is no such lane or case'],
    ['lanes', ['--resume', 'other.json'], 'other.json is of another pass'],
    ['planted', ['--only', 'nothing'], 'there is no planted bug "nothing"'],
    ['chaos', ['--server', 'postgress'], '--server is one of sqlite, postgres, queued'],
  ] as const)(
    '[SIM-79] %s %j does not pass for a run that found nothing',
    { timeout: 60_000 },
    (...given) => {
      const [program, args, said] = given
      const { code, said: words } = run(program, ...args)
      expect([code, words.split('\n').length]).toEqual([1, 2])
      expect(words).toContain(said)
    },
  )
})
