import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { chown } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { UserIds } from './unprivileged-user.ts'

/** How a server is run. */
export interface ServerProgram {
  readonly path: string
  readonly args: readonly string[]
  /** What it prints once it takes connections. */
  readonly ready: RegExp
  /** What it prints when it cannot start now but can a moment later. */
  readonly busy?: RegExp
  /** Asks it to end in order. */
  readonly stopSignal: NodeJS.Signals
  /** Ends it at once, when nobody is left who could wait for it. */
  readonly orphanSignal: 'KILL' | 'QUIT'
  /** Its temporary folder, removed when it is stopped or its starter dies. */
  readonly folder: string
  readonly user?: UserIds | undefined
}

/** Long enough for a machine that is busy with other things, ms. */
const startMs = 60_000
const stopMs = 30_000
const pauseMs = 50
const keptCharacters = 20_000

/**
 * Waits for the end of its stdin, which comes when the process that started the server has ended in whatever way; then
 * ends the server. A session of its own, so that Ctrl-C in a terminal does not end it before its work is done.
 */
const watchdogScript = `
trap '' HUP INT TERM
read -r order
[ "$order" = leave ] && exit
kill -s "$0" "$1"
i=0
while kill -0 "$1" 2>/dev/null && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done
kill -s KILL "$1" 2>/dev/null
rm -rf "$2"`

/** A server in a process of its own, known by its handle alone. It ends when the process that started it does. */
export class ServerProcess {
  readonly #program: ServerProgram
  #child: ChildProcess | undefined
  #gone: Promise<void> = Promise.resolve()
  #output = ''

  constructor(program: ServerProgram) {
    this.#program = program
  }

  /** Its process id while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Runs it until it is ready. A server that is still held up by its last life is tried again for a while. */
  async start(): Promise<void> {
    const untilMs = performance.now() + startMs
    for (;;) {
      this.#spawn()
      if (await this.#isReady(untilMs)) return
      const isBusy = this.#program.busy?.test(this.#output) === true && performance.now() < untilMs
      await this.kill('SIGKILL')
      if (!isBusy) throw new Error(`${this.#program.path} did not start:\n${this.#output}`)
      await pause()
    }
  }

  /** Ends it in order, at last by force. Its folder stays. */
  async end(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    child.kill(this.#program.stopSignal)
    // One that was frozen hears it now.
    child.kill('SIGCONT')
    const force = setTimeout(() => child.kill('SIGKILL'), stopMs)
    await this.#gone
    clearTimeout(force)
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#child?.kill(signal)
    await this.#gone
  }

  /** SIGSTOP: it answers nobody, and its connections stay open. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  /** SIGCONT. */
  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Starts it again; one that runs is ended in order before. */
  async restart(): Promise<void> {
    await this.end()
    await this.start()
  }

  /** Ends it and removes its folder. */
  async remove(): Promise<void> {
    await this.end()
    rmSync(this.#program.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: pauseMs })
  }

  #spawn(): void {
    const { path, args, folder, user, orphanSignal } = this.#program
    this.#output = ''
    const child = spawn(path, args, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, LC_ALL: 'C' },
      ...user,
    })
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => (this.#output = `${this.#output}${String(chunk)}`.slice(-keptCharacters)))
    const watchdog =
      child.pid === undefined ? undefined : spawnWatchdog([orphanSignal, `${child.pid}`, folder])
    this.#child = child
    this.#gone = new Promise((resolve) => {
      const onGone = (): void => {
        watchdog?.stdin?.end('leave\n')
        if (this.#child === child) this.#child = undefined
        resolve()
      }
      child.once('close', onGone)
      child.once('error', (error) => {
        this.#output += error.message
        onGone()
      })
    })
  }

  async #isReady(untilMs: number): Promise<boolean> {
    while (this.#child !== undefined && performance.now() < untilMs) {
      if (this.#program.ready.test(this.#output)) return true
      await pause()
    }
    return false
  }
}

function spawnWatchdog(args: readonly string[]): ChildProcess {
  const watchdog = spawn('/bin/sh', ['-c', watchdogScript, ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  // It may be gone already when it is told to leave.
  watchdog.stdin.on('error', () => undefined)
  return watchdog
}

/** A new empty folder that belongs to the user of a server. */
export async function temporaryFolder(name: string, user: UserIds | undefined): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), `holdfast-${name}-`))
  if (user !== undefined) await chown(folder, user.uid, user.gid)
  return folder
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, pauseMs))
}
