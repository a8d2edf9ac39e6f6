import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { systemEnvironment } from '@holdfast/client'
import { isObject } from '@holdfast/core'

import type { Hunter, Plant } from './plant.ts'

/** What came of looking for one planted bug. */
export interface Hunt {
  readonly id: string
  readonly case: string
  readonly story: string
  readonly seenBy: Hunter
  /** `broken`: nothing could be learnt: the bug does not fit the source any more, or what was seen is there without it. */
  readonly result: 'found' | 'survived' | 'broken'
  /** Who saw it: the name of a checker. */
  readonly invariant: string | null
  /** Whether that is one of whom it was expected; another may have seen something else. */
  readonly isExpected: boolean
  readonly seed: number | null
  /** Of one core, from the start of the process; of the clock on the wall where that is not told. */
  readonly seconds: number
  /** User operations simulated until then, where the hunter counts them. */
  readonly operations: number | null
  /** The last words of a hunter that broke. */
  readonly words: string | null
}

/** How to look. */
export interface HuntOptions {
  readonly seconds: number
  readonly seed: number
  /** Seeds to try; as many as there is time for unless said. */
  readonly seedCount?: number
  /** The script to run in place of the hunter's own. */
  readonly script?: string
  /** What a process may take beyond `seconds`, ms; some minutes unless said: starting, and the last run. */
  readonly graceMs?: number
}

/** The command of each hunter; all answer with one line of JSON and exit code 1 when they found something. */
const commands: Readonly<Record<Hunter, string>> = {
  sim: '../sim/main.ts',
  lane: '../lanes/main.ts',
  chaos: '../chaos/main.ts',
}

/** Characters kept of what a process says. */
const wordsMost = 2_000

/**
 * Starts the hunter of a planted bug in a process of its own and waits for its answer, at most for the time it was told
 * and a little more; then it is killed. What was found must not be found on the same seed without the bug. Never rejects.
 * Rules: SIM-53.
 */
export async function hunt(plant: Plant, options: HuntOptions): Promise<Hunt> {
  const { seenBy = 'sim' } = plant
  const startedMs = systemEnvironment.monotonicMs()
  const { out, err, code, cpuMs } = await run(plant, seenBy, options)
  const ms = cpuMs > 0 ? cpuMs : systemEnvironment.monotonicMs() - startedMs
  const seconds = Math.round(ms / 100) / 10
  const answer = answerIn(out)
  const { id, case: brings, story } = plant
  const base = { id, case: brings, story, seenBy, seconds }
  if (answer === undefined || code === 3) {
    const words = code === null ? 'killed: it took too long' : err.slice(-wordsMost).trim()
    return {
      ...base,
      result: 'broken',
      invariant: null,
      isExpected: false,
      seed: null,
      operations: null,
      words,
    }
  }
  const { found, invariant, seed, operations } = answer
  const seen = {
    ...base,
    invariant: typeof invariant === 'string' ? invariant : null,
    isExpected: typeof invariant === 'string' && plant.expect.includes(invariant),
    seed: typeof seed === 'number' ? seed : null,
    operations: typeof operations === 'number' ? operations : null,
  }
  if (found !== true) return { ...seen, result: 'survived', words: null }
  if (seen.seed === null || !(await failsWithout(seenBy, { ...options, seed: seen.seed })))
    return { ...seen, result: 'found', words: null }
  return { ...seen, result: 'broken', words: `seed ${seen.seed} fails without the bug as well` }
}

/**
 * What a hunter finds without any bug, in one sentence; null when all is well. As long as it finds something, finds
 * prove little: a bug changes the course of a run, and may only lead it to what is broken anyway.
 */
export async function findWithout(hunter: Hunter, options: HuntOptions): Promise<string | null> {
  const { out, err } = await run(undefined, hunter, options)
  const answer = answerIn(out)
  if (answer?.['found'] === false) return null
  return answer ? `seed ${answer['seed']}: ${answer['invariant']}: ${answer['message']}` : err.trim()
}

async function failsWithout(hunter: Hunter, options: HuntOptions): Promise<boolean> {
  const { out } = await run(undefined, hunter, { ...options, seedCount: 1 })
  return answerIn(out)?.['found'] !== false
}

interface Said {
  readonly out: string
  readonly err: string
  /** null: it was killed. */
  readonly code: number | null
  /** What it and its children used of a core; 0 when they did not tell. */
  readonly cpuMs: number
}

function run(plant: Plant | undefined, hunter: Hunter, options: HuntOptions): Promise<Said> {
  const { seconds, seed, script = pathOf(commands[hunter]), graceMs = 240_000, seedCount } = options
  const loader = new URL('./plant-loader.ts', import.meta.url).href
  const bounds = ['--seconds', String(seconds), '--seed', String(seed)]
  const command = plant === undefined ? [] : ['--import', loader]
  command.push('--disable-warning=ExperimentalWarning', script)
  if (seedCount !== undefined) command.push('--seeds', String(seedCount))
  command.push('--until-failure', ...bounds, '--jobs', '1', '--quiet', '--json')
  return new Promise((resolve) => {
    const usage = join(tmpdir(), `holdfast-hunt-${process.pid}-${(runCount += 1)}`)
    const child = spawn(process.execPath, command, {
      env: { ...process.env, HOLDFAST_PLANT: plant?.id, HOLDFAST_PLANT_USAGE: usage },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that what it starts ends with it.
      detached: true,
    })
    let [out, err] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out = (out + text).slice(-1_000_000)))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err = (err + text).slice(-wordsMost)))
    const cancel = systemEnvironment.setTimer(() => killGroup(child.pid), seconds * 1_000 + graceMs)
    const onExit = (): void => killGroup(child.pid)
    process.once('exit', onExit)
    const end = (code: number | null): void => {
      cancel()
      process.off('exit', onExit)
      resolve({ out, err, code, cpuMs: takeUsage(usage) })
    }
    child.on('close', end)
    child.on('error', (error) => {
      err += error.message
      end(3)
    })
  })
}

let runCount = 0

/** What the processes of a hunt wrote down at their ends, ms of a core; the file goes. */
function takeUsage(file: string): number {
  if (!existsSync(file)) return 0
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  rmSync(file)
  return lines.reduce((sum, line) => sum + Number(line), 0)
}

/** Ends a process that was started here, and all that it started. */
function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function pathOf(relative: string): string {
  return decodeURIComponent(new URL(relative, import.meta.url).pathname)
}

/** The last line that is an answer; undefined when there is none. */
function answerIn(out: string): Readonly<Record<string, unknown>> | undefined {
  for (const line of out.trim().split('\n').toReversed()) {
    try {
      const parsed: unknown = JSON.parse(line)
      if (isObject(parsed) && typeof parsed['found'] === 'boolean') return parsed
    } catch {
      // Another line may be the answer.
    }
  }
  return undefined
}
