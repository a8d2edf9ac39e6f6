import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** How a child process is started. */
export interface ChildOptions {
  /** The program, from this file. */
  readonly program: string
  /** What it is told when it starts, in its only argument. */
  readonly order?: object
  /** Its arguments, of a program that is not told so. It says something when it has started, and hears no commands. */
  readonly args?: readonly string[]
  /** More for its environment. */
  readonly variables?: Readonly<Record<string, string>>
  /** Where V8 keeps what it compiled, so that the next start is quick. */
  readonly cacheFolder: string
  /** Largest file it may write, in blocks of 512 bytes. */
  readonly fileBlocks?: number
}

interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** A program of ours in a process of its own. Takes commands and answers them, line by line; gone when this process is. */
export class Child {
  /** What it says first. */
  readonly opened: Promise<unknown>
  /** Settles when the process is gone: its exit code, or the signal. */
  readonly gone: Promise<number | string>
  readonly #process: ChildProcess
  readonly #waiters = new Map<number, Waiter>()
  #count = 1
  #errors = ''
  #isGone = false
  #isAwaited = false

  constructor({ program, order, args: given, variables, cacheFolder, fileBlocks }: ChildOptions) {
    const args = [new URL(program, import.meta.url).pathname, ...(given ?? [JSON.stringify(order)])]
    const limited = ['-c', `ulimit -f ${fileBlocks}; exec "$0" "$@"`, process.execPath, ...args]
    const [command, rest] = fileBlocks === undefined ? [process.execPath, args] : ['/bin/sh', limited]
    this.#process = spawn(command, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_COMPILE_CACHE: cacheFolder, ...variables },
    })
    // A pipe to a process that was just killed breaks; that it is gone is said by `gone`.
    this.#process.stdin?.on('error', () => undefined)
    this.#process.stderr?.on('data', (chunk) => (this.#errors += String(chunk)))
    this.opened = this.#answerTo(0)
    if (this.#process.stdout)
      createInterface({ input: this.#process.stdout }).on('line', (line) =>
        this.#take(given === undefined ? line : JSON.stringify({ id: 0, value: line })),
      )
    this.gone = new Promise((resolve) => {
      this.#process.once('close', (code, signal) => resolve(this.#onGone(code ?? signal ?? 'gone')))
    })
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** True once somebody asked it to end or killed it. */
  get isAwaited(): boolean {
    return this.#isAwaited
  }

  /** What it wrote on stderr. */
  get errors(): string {
    return this.#errors
  }

  /** Sends a command and gives the answer. Rejects when the process is gone before. */
  ask(command: object): Promise<unknown> {
    if (this.#isGone) return Promise.reject(new Error('the process is gone'))
    const id = this.#count++
    const answer = this.#answerTo(id)
    this.#process.stdin?.write(`${JSON.stringify({ id, ...command })}\n`)
    return answer
  }

  /** SIGTERM, and its end. */
  async terminate(): Promise<number | string> {
    this.#isAwaited = true
    this.#process.kill('SIGTERM')
    return this.gone
  }

  /** SIGKILL, and its end. */
  async kill(): Promise<void> {
    this.#isAwaited = true
    this.#process.kill('SIGKILL')
    await this.gone
  }

  /** Ends it in order: it is asked to, or its stdin ends. */
  async end(command?: object): Promise<number | string> {
    this.#isAwaited = true
    if (command === undefined) this.#process.stdin?.end()
    else void this.ask(command).catch(() => undefined)
    return this.gone
  }

  /** SIGSTOP. */
  freeze(): void {
    this.#process.kill('SIGSTOP')
  }

  /** SIGCONT. */
  thaw(): void {
    this.#process.kill('SIGCONT')
  }

  #answerTo(id: number): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    // Whoever waits sees it; often nobody does.
    promise.catch(() => undefined)
    this.#waiters.set(id, { resolve, reject })
    return promise
  }

  #take(line: string): void {
    // The programs beside this file write these lines.
    const { id, value } = JSON.parse(line) as { readonly id: number; readonly value: unknown }
    this.#waiters.get(id)?.resolve(value)
    this.#waiters.delete(id)
  }

  #onGone(how: number | string): number | string {
    this.#isGone = true
    for (const { reject } of this.#waiters.values()) reject(new Error(`the process is gone: ${how}`))
    this.#waiters.clear()
    return how
  }
}
