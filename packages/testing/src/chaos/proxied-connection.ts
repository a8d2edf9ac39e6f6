import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

import type { CancelTimer } from '@holdfast/core'

import type { ProxyFault } from './proxy-fault.ts'
import { resetSocket } from './reset-socket.ts'
import { type RequestFrame, RequestFrames, type RequestHead } from './request-frames.ts'

/** What a connection through the proxy is made from. */
export interface ProxiedConnectionOptions {
  readonly client: Socket
  readonly target: number
  readonly setTimer: (callback: () => void, ms: number) => CancelTimer
  /** Asked once for each request, when its head is there. */
  readonly judge: (head: RequestHead) => ProxyFault
  /** Nothing of it is left: neither sockets nor timers. */
  readonly onClose: () => void
}

/** How often a dripping way gives its next few bytes, ms. */
const dripMs = 20

/** An answer that nobody gets is read for at most this long, ms. */
const discardMs = 10_000

/** One client's connection, the server's on the other side, and what goes wrong in between. */
export class ProxiedConnection {
  readonly #options: ProxiedConnectionOptions
  readonly #client: Socket
  readonly #frames = new RequestFrames()
  /** Connections to the server whose answers nobody gets. */
  readonly #strays = new Set<Socket>()
  /** Wakes what waits for time to pass. */
  readonly #sleepers = new Set<() => void>()
  readonly #replays = new Set<CancelTimer>()
  #upstream: Socket | undefined
  #fault: ProxyFault = { kind: 'pass' }
  #requestBytes = 0
  #answerBytes = 0
  /** The request as it arrived, as far as it must be sent again. */
  #captured: Buffer[] = []
  #isClosed = false

  constructor(options: ProxiedConnectionOptions) {
    this.#options = options
    this.#client = options.client
    this.#client.on('error', ignore)
    this.#client.on('close', () => this.#onClientClose())
    this.#client.on('data', (chunk) => {
      this.#client.pause()
      void this.#takeRequest(chunk).then(() => this.#client.resume())
    })
  }

  /** Ends the fault under way, and those that were still to come of earlier requests. */
  heal(): void {
    const isSwallowed = this.#fault.kind === 'half-open'
    this.#fault = { kind: 'pass' }
    for (const cancel of this.#replays) cancel()
    this.#replays.clear()
    for (const wake of this.#sleepers) wake()
    if (isSwallowed) this.reset()
    this.#tidy()
  }

  /** Resets both sides. */
  reset(): void {
    resetSocket(this.#client)
    if (this.#upstream !== undefined) resetSocket(this.#upstream)
    for (const stray of this.#strays) stray.destroy()
    for (const cancel of this.#replays) cancel()
    this.#replays.clear()
    this.#tidy()
  }

  async #takeRequest(chunk: Buffer): Promise<void> {
    for (const frame of this.#frames.take(chunk)) {
      if (this.#client.destroyed) return
      if (frame.head !== undefined) this.#begin(frame.head)
      await this.#passRequest(frame)
    }
  }

  #begin(head: RequestHead): void {
    this.#fault = this.#options.judge(head)
    this.#requestBytes = 0
    this.#answerBytes = 0
    this.#captured = []
  }

  async #passRequest(frame: RequestFrame): Promise<void> {
    const fault = this.#fault
    if (frame.head === undefined) this.#requestBytes += frame.bytes.length
    if (fault.kind === 'refuse') return resetSocket(this.#client)
    if (fault.kind === 'half-open' && fault.when === 'request') return this.#swallow(fault.ms)
    if (fault.kind === 'stall' && fault.when === 'request' && frame.head !== undefined) {
      await this.#sleep(fault.ms)
    }
    if (fault.kind === 'reset' && fault.when === 'request')
      return this.#passThenReset(frame, fault.afterBytes)
    if (fault.kind === 'duplicate' || fault.kind === 'replay') this.#captured.push(frame.bytes)
    await this.#send(this.#connected(), frame.bytes)
    if (!frame.isLast) return
    if (fault.kind === 'duplicate') this.#sendTwice(fault.deliver)
    if (fault.kind === 'replay') this.#replayLater(fault.afterMs)
  }

  async #passThenReset(frame: RequestFrame, afterBytes: number): Promise<void> {
    const excess = frame.head === undefined ? Math.max(0, this.#requestBytes - afterBytes) : 0
    const upstream = this.#connected()
    await this.#send(upstream, frame.bytes.subarray(0, frame.bytes.length - excess))
    const isOver = frame.isLast || (frame.head === undefined && this.#requestBytes >= afterBytes)
    if (!isOver) return
    // A socket that is not connected yet would drop what is meant to arrive.
    if (upstream.connecting)
      await Promise.race([once(upstream, 'connect'), once(upstream, 'close')]).catch(ignore)
    await this.#lingerBeforeReset(afterBytes)
    resetSocket(upstream)
    resetSocket(this.#client)
  }

  /** A reset takes with it what the other side has not read yet; a moment lets the bytes in front of it arrive. */
  async #lingerBeforeReset(bytes: number): Promise<void> {
    if (bytes > 0) await this.#sleep(dripMs)
  }

  async #takeAnswer(upstream: Socket, chunk: Buffer): Promise<void> {
    const fault = this.#fault
    const before = this.#answerBytes
    this.#answerBytes += chunk.length
    if (fault.kind === 'half-open' && fault.when === 'answer') return this.#swallow(fault.ms)
    if (fault.kind === 'stall' && fault.when === 'answer' && before === 0) await this.#sleep(fault.ms)
    const isCut = fault.kind === 'cut' || (fault.kind === 'reset' && fault.when === 'answer')
    if (!isCut || this.#answerBytes <= fault.afterBytes) return this.#send(this.#client, chunk)
    await this.#send(this.#client, chunk.subarray(0, Math.max(0, fault.afterBytes - before)))
    upstream.destroy()
    if (fault.kind === 'cut') return void this.#client.end()
    await this.#lingerBeforeReset(fault.afterBytes)
    resetSocket(this.#client)
  }

  /** The way to the server, opened when it is first needed. */
  #connected(): Socket {
    if (this.#upstream === undefined || this.#upstream.destroyed) this.#follow(this.#connect())
    // Just set, if it was not there.
    return this.#upstream as Socket
  }

  #connect(): Socket {
    const socket = connect({ port: this.#options.target, host: '127.0.0.1', noDelay: true })
    socket.on('error', ignore)
    return socket
  }

  /** What this connection says goes to the client, up to its end. */
  #follow(upstream: Socket): void {
    this.#upstream = upstream
    const isCurrent = (): boolean => this.#upstream === upstream
    upstream.on('data', (chunk) => {
      if (!isCurrent()) return
      upstream.pause()
      void this.#takeAnswer(upstream, chunk).then(() => upstream.resume())
    })
    upstream.on('end', () => {
      if (isCurrent() && !this.#isSwallowing()) this.#client.end()
    })
    upstream.on('error', () => {
      if (isCurrent() && !this.#isSwallowing()) resetSocket(this.#client)
    })
  }

  #isSwallowing(): boolean {
    return this.#fault.kind === 'half-open'
  }

  async #swallow(ms: number | undefined): Promise<void> {
    if (ms === undefined) return
    const fault = this.#fault
    await this.#sleep(ms)
    if (this.#fault === fault) this.reset()
  }

  #sendTwice(deliver: 'first' | 'second'): void {
    const second = this.#connect()
    second.write(Buffer.concat(this.#captured))
    const first = this.#upstream
    if (deliver === 'first' || first === undefined) return this.#discard(second)
    this.#follow(second)
    this.#discard(first)
  }

  #replayLater(ms: number): void {
    const bytes = Buffer.concat(this.#captured)
    const cancel = this.#options.setTimer(() => {
      this.#replays.delete(cancel)
      const late = this.#connect()
      late.write(bytes)
      this.#discard(late)
    }, ms)
    this.#replays.add(cancel)
  }

  #discard(stray: Socket): void {
    this.#strays.add(stray)
    stray.resume()
    const cancel = this.#options.setTimer(() => stray.destroy(), discardMs)
    stray.once('close', () => {
      cancel()
      this.#strays.delete(stray)
      this.#tidy()
    })
  }

  async #send(to: Socket, bytes: Buffer): Promise<void> {
    if (this.#fault.kind !== 'throttle') return write(to, bytes)
    const slice = Math.max(1, Math.floor((this.#fault.bytesPerSecond * dripMs) / 1_000))
    for (let at = 0; at < bytes.length && !to.destroyed; at += slice) {
      // Healed meanwhile: the rest goes at once.
      if (this.#fault.kind !== 'throttle') return write(to, bytes.subarray(at))
      await write(to, bytes.subarray(at, at + slice))
      await this.#sleep(dripMs)
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel()
        this.#sleepers.delete(wake)
        resolve()
      }
      const cancel = this.#options.setTimer(wake, ms)
      this.#sleepers.add(wake)
    })
  }

  #onClientClose(): void {
    this.#upstream?.destroy()
    for (const wake of this.#sleepers) wake()
    this.#tidy()
  }

  #tidy(): void {
    if (this.#isClosed || !this.#client.destroyed || this.#strays.size > 0 || this.#replays.size > 0) return
    this.#isClosed = true
    this.#options.onClose()
  }
}

/** Waits while the other side does not read. */
async function write(socket: Socket, bytes: Buffer): Promise<void> {
  if (socket.destroyed || !socket.writable || bytes.length === 0 || socket.write(bytes)) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}

function ignore(): void {
  // A connection that breaks is what a proxy of faults is for; its 'close' says what follows.
}
