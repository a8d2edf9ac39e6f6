import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { checkersFor } from '../check/checkers.ts'
import { catalogue } from './catalogue.ts'
import { findWithout, hunt, type HuntOptions } from './hunt.ts'
import { filesOf, type Plant, plantedText } from './plant.ts'

const root = new URL('../../../../', import.meta.url)
const loader = new URL('plant-loader.ts', import.meta.url).href
const run = promisify(execFile)

function sourceOf(file: string): string {
  return readFileSync(new URL(file, root), 'utf8')
}

/** A lane also compares the end of a scenario with the one that its story must have. */
const knownCheckers = new Set([...checkersFor({}).map(({ name }) => name), 'expected-end'])

describe('the catalogue', () => {
  test('[SIM-50] every planted bug fits the present source in one place, and what comes of it parses', () => {
    const misfits = catalogue.flatMap((plant) =>
      filesOf(plant).flatMap((file) => {
        try {
          const planted = plantedText(plant, file, sourceOf(file))
          stripTypeScriptTypes(planted)
          return planted === sourceOf(file) ? [`${plant.id} changes nothing in ${file}`] : []
        } catch (error) {
          return [`${plant.id}: ${String(error)}`]
        }
      }),
    )
    expect(misfits).toEqual([])
  })

  test('[SIM-50] there are at least 60, each with an id of its own, and none changes what another does', () => {
    expect(catalogue.length).toBeGreaterThanOrEqual(60)
    expect(new Set(catalogue.map(({ id }) => id)).size).toBe(catalogue.length)
    const changes = catalogue.map(({ file, edits }) => JSON.stringify([file, edits]))
    expect(new Set(changes).size).toBe(catalogue.length)
  })

  test('[SIM-51] each names the hard case or the rule it breaks, what it does to a user, and who may see it', () => {
    const spec = sourceOf('docs/SPEC.md')
    const isKnown = (id: string): boolean =>
      /^B(0[1-9]|[1-6]\d|7[01])$/.test(id) || spec.includes(`**${id}**`)
    const nameless = catalogue.filter(
      (plant) =>
        !isKnown(plant.case) ||
        !plant.story.endsWith('.') ||
        plant.expect.length === 0 ||
        plant.expect.some((name) => !knownCheckers.has(name)),
    )
    expect(nameless).toEqual([])
  })

  test('[SIM-51] all of them lie in shipped source of core, client and server', () => {
    const files = new Set(catalogue.flatMap(filesOf))
    expect(
      [...files].filter((file) => !/^packages\/(core|client|server)\/src\/.*(?<!\.test)\.ts$/.test(file)),
    ).toEqual([])
    const areas = new Set([...files].map((file) => file.split('/')[1]))
    expect(areas).toEqual(new Set(['client', 'core', 'server']))
  })

  test('[SIM-50] an edit that fits nowhere, or twice, throws', () => {
    const plant: Plant = {
      id: 'p',
      case: 'B17',
      file: 'a.ts',
      edits: [{ find: 'x', replace: '$&' }],
      story: 'Nothing.',
      expect: ['nothing'],
    }
    expect(plantedText(plant, 'a.ts', 'a x b')).toBe('a $& b')
    expect(() => plantedText(plant, 'a.ts', 'a b')).toThrow('p: a.ts holds 0 times, not once: "x"')
    expect(() => plantedText(plant, 'a.ts', 'x x')).toThrow('p: a.ts holds 2 times, not once: "x"')
  })
})

describe('the loader', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-plant-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** Runs a script, with a planted bug if one is named. */
  async function outcomeOf(
    plant: string | undefined,
    script: string,
  ): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
    const path = join(folder, 'script.mjs')
    await writeFile(path, script)
    const hook = plant === undefined ? [] : ['--import', loader]
    const env = { ...process.env, NODE_OPTIONS: '', HOLDFAST_PLANT: plant ?? '' }
    try {
      const { stdout, stderr } = await run(process.execPath, [...hook, path], { env })
      return { code: 0, out: stdout, err: stderr }
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
      return { code, out: stdout, err: stderr }
    }
  }

  const clamp = `
    const { clampHlc } = await import(${JSON.stringify(new URL('packages/core/src/hlc.ts', root).href)})
    const { stamp } = clampHlc('2036-01-01T00:00:00.000Z-0000-a', { serverMs: 0, skewMs: 1000 })
    process.stdout.write(stamp.slice(0, 4))`

  test('[SIM-52] a planted bug is there in the process it is loaded into, and nowhere else', async () => {
    expect(await outcomeOf(undefined, clamp)).toMatchObject({ code: 0, out: '1970' })
    expect(await outcomeOf('future-stamps-stay', clamp)).toMatchObject({ code: 0, out: '2036' })
    expect(sourceOf('packages/core/src/hlc.ts')).toContain('clock.serverMs + clock.skewMs)')
  })

  test('[SIM-52] a bug that was never loaded, or does not exist, ends with 3, whatever the process says', async () => {
    const unloaded = await outcomeOf('future-stamps-stay', 'process.exit(1)')
    expect(unloaded.code).toBe(3)
    expect(unloaded.err).toContain('planted bug future-stamps-stay: never loaded')
    expect(unloaded.err).toContain('packages/core/src/hlc.ts')
    const unknown = await outcomeOf('no-such-bug', 'process.exit(0)')
    expect(unknown.code).toBe(3)
    expect(unknown.err).toContain('there is no planted bug "no-such-bug"')
  })

  test('[SIM-50] nothing that is shipped knows of planted bugs', () => {
    const index = fileURLToPath(new URL('packages/testing/src/index.ts', root))
    expect(readFileSync(index, 'utf8')).not.toContain('planted')
  })
})

describe('the search', () => {
  const planted = catalogue.find(({ id }) => id === 'future-stamps-stay')
  const module = JSON.stringify(new URL('packages/core/src/hlc.ts', root).href)
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-hunt-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  async function huntWith(source: string, options: Partial<HuntOptions> = {}): Promise<object> {
    const script = join(folder, 'hunter.mjs')
    await writeFile(script, source)
    return hunt(planted!, { seconds: 5, seed: 7, script, ...options })
  }

  test('[SIM-53] what its process found is told, with checker and seed', async () => {
    const found = await huntWith(`
      await import(${module})
      const seed = Number(process.argv[process.argv.indexOf('--seed') + 1])
      console.log('something else')
      const found = process.env.HOLDFAST_PLANT !== undefined
      console.log(JSON.stringify({ found, seed, invariant: 'effect', ms: 12, operations: 345 }))
      process.exit(1)`)
    expect(found).toMatchObject({
      id: 'future-stamps-stay',
      case: 'B15',
      result: 'found',
      invariant: 'effect',
      isExpected: true,
      seed: 7,
      operations: 345,
    })
  })

  test('[SIM-53] what is seen without the bug as well says nothing of it', async () => {
    const found = await huntWith(`await import(${module}); console.log('{"found":true,"seed":9}')`)
    expect(found).toMatchObject({ result: 'broken', words: 'seed 9 fails without the bug as well' })
  })

  test('[SIM-53] before anything else it is known what is found without any bug', async () => {
    const script = join(folder, 'control.mjs')
    await writeFile(
      script,
      `console.log('{"found":true,"seed":3,"invariant":"liveness","message":"no rest"}')`,
    )
    expect(await findWithout('sim', { seconds: 5, seed: 1, script })).toBe('seed 3: liveness: no rest')
    await writeFile(script, `console.log('{"found":false}')`)
    expect(await findWithout('sim', { seconds: 5, seed: 1, script })).toBeNull()
    await writeFile(script, `console.error('out of order'); process.exit(1)`)
    expect(await findWithout('sim', { seconds: 5, seed: 1, script })).toBe('out of order')
  })

  test('[SIM-53] a bug that nobody saw survived', async () => {
    const found = await huntWith(`await import(${module}); console.log('{"found":false}')`)
    expect(found).toMatchObject({ result: 'survived', invariant: null })
  })

  test('[SIM-53] a process that says nothing, never loads the bug or never ends tells nothing of it', async () => {
    expect(await huntWith(`await import(${module}); throw new Error('no such file')`)).toMatchObject({
      result: 'broken',
      words: expect.stringContaining('no such file'),
    })
    expect(
      await huntWith(`console.log('{"found":true,"invariant":"clock"}'); process.exit(1)`),
    ).toMatchObject({
      result: 'broken',
      words: expect.stringContaining('never loaded'),
    })
    const endless = await huntWith(`await import(${module}); setInterval(() => 0, 1000)`, {
      seconds: 1,
      graceMs: 500,
    })
    expect(endless).toMatchObject({ result: 'broken', words: 'killed: it took too long' })
  })
})
