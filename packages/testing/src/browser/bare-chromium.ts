import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { chromiumArguments, chromiumPath } from '../services/chromium.ts'

/**
 * Chromium without Playwright, which has every page believe that it is in front: only a page that is hidden can be
 * frozen. Spoken to by its own protocol: https://chromedevtools.github.io/devtools-protocol/
 */
export class BareChromium {
  readonly #process: ChildProcess
  readonly #profile: string
  readonly #address: string

  private constructor(child: ChildProcess, profile: string, address: string) {
    this.#process = child
    this.#profile = profile
    this.#address = address
  }

  static async open(): Promise<BareChromium> {
    const profile = mkdtempSync(join(tmpdir(), 'holdfast-chromium-'))
    const own = ['--headless=new', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank']
    const child = spawn(chromiumPath(), [...chromiumArguments, ...own], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const address = await new Promise<string>((resolve, reject) => {
      let said = ''
      child.once('close', () => reject(new Error(`chromium ended: ${said}`)))
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text
        const found = /DevTools listening on ws:\/\/([^/]+)/.exec(said)?.[1]
        if (found !== undefined) resolve(found)
      })
    })
    return new BareChromium(child, profile, address)
  }

  /** The process of the browser itself. */
  get pid(): number | undefined {
    return this.#process.pid
  }

  /** Opens a page in a new tab, in front of the others. */
  async page(url: string): Promise<BarePage> {
    const answer = await fetch(`http://${this.#address}/json/new?${url}`, { method: 'PUT' })
    // What the browser says of a target.
    const target = (await answer.json()) as { webSocketDebuggerUrl: string }
    return BarePage.connect(target.webSocketDebuggerUrl)
  }

  async close(): Promise<void> {
    const ended = once(this.#process, 'close')
    this.#process.kill('SIGKILL')
    await ended
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** One page, by its protocol. */
export class BarePage {
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, (answer: Readonly<Record<string, unknown>>) => void>()
  #asked = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => {
      const answer = JSON.parse(String(data)) as Readonly<Record<string, unknown>>
      const { id } = answer
      if (typeof id !== 'number') return
      this.#waiting.get(id)?.(answer)
      this.#waiting.delete(id)
    })
  }

  static async connect(url: string): Promise<BarePage> {
    const socket = new WebSocket(url)
    await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }))
    return new BarePage(socket)
  }

  /** A command of the protocol, and its result. */
  send(
    method: string,
    params: Readonly<Record<string, unknown>> = {},
  ): Promise<Readonly<Record<string, unknown>>> {
    const { promise, resolve } = Promise.withResolvers<Readonly<Record<string, unknown>>>()
    const id = ++this.#asked
    this.#waiting.set(id, resolve)
    this.#socket.send(JSON.stringify({ id, method, params }))
    return promise
  }

  /** Evaluates a function of no arguments in the page and gives what it came to. */
  evaluate<T>(fn: () => T | Promise<T>): Promise<T> {
    return this.#run(`(${fn.toString()})()`)
  }

  /** Waits until a function of no arguments gives true in the page, also while that is loaded. */
  async until(fn: () => boolean): Promise<void> {
    while (!(await this.evaluate(fn).catch(() => false))) await setTimeout(20)
  }

  async #run<T>(expression: string): Promise<T> {
    const answer = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })
    // The shape the protocol gives.
    const { result, exceptionDetails } = (answer['result'] ?? {}) as {
      result?: { value: T; description?: string }
      exceptionDetails?: unknown
    }
    if (result === undefined) throw new Error(`the page is gone: ${JSON.stringify(answer['error'])}`)
    if (exceptionDetails !== undefined) throw new Error(result.description ?? 'the page threw')
    return result.value
  }
}
