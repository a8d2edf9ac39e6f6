import { once } from 'node:events'
import { Agent, createServer, request, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { type FaultProxy, openFaultProxy } from './fault-proxy.ts'
import { type ProxyFault, seededFaults } from './proxy-fault.ts'
import { resetSocket } from './reset-socket.ts'

let server: Server
let proxy: FaultProxy
/** Every body that reached the server whole. */
let served: string[]
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

beforeEach(async () => {
  served = []
  server = createServer((incoming, answer) => {
    let body = ''
    incoming.on('data', (chunk) => (body += String(chunk)))
    incoming.on('end', () => {
      served.push(body)
      answer.end(`${served.length}:${body}`.padEnd(2_000, '.'))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy = await openFaultProxy({ target: port() })
})

// A TCP server that listens has an address of this kind.
const port = (): number => (server.address() as AddressInfo).port

afterEach(async () => {
  await proxy.close()
  server.closeAllConnections()
  server.close()
})

/** What a client got: the text of the answer, or the code of what went wrong and how much had come by then. */
function post(body: string, { isChunked = false } = {}): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const fail = ({ code }: NodeJS.ErrnoException): void =>
      resolve(text === '' ? `${code}` : `${code} after ${text.length}`)
    const headers = isChunked ? {} : { 'content-length': String(body.length) }
    const asked = request(`${proxy.url}/things`, { method: 'POST', agent, headers }, (answer) => {
      answer.on('data', (chunk) => (text += String(chunk)))
      answer.on('end', () => resolve(text.replace(/\.+$/, '')))
      answer.on('error', fail)
    })
    asked.on('error', fail)
    asked.end(body)
  })
}

function strikeOnce(fault: ProxyFault): void {
  let isOver = false
  proxy.use(() => {
    if (isOver) return { kind: 'pass' }
    isOver = true
    return fault
  })
}

async function until(isTrue: () => boolean): Promise<void> {
  await expect.poll(isTrue, { interval: 5 }).toBe(true)
}

describe('the network fault proxy', () => {
  test('[SIM-60] requests of one kept-alive connection are told apart, chunked ones as well', async () => {
    const seen: string[] = []
    proxy.use(({ connection, index, method, path }) => {
      seen.push(`${connection} ${index} ${method} ${path}`)
      return { kind: 'pass' }
    })
    expect(await post('a')).toBe('1:a')
    expect(await post('b'.repeat(100_000), { isChunked: true })).toMatch(/^2:b{100000}$/)
    expect(await post('GET / HTTP/1.1\r\n\r\n.')).toBe('3:GET / HTTP/1.1\r\n\r\n')
    expect(seen).toEqual(['0 0 POST /things', '0 1 POST /things', '0 2 POST /things'])
  })

  test.each([
    [{ kind: 'refuse' }, 'ECONNRESET', []],
    [{ kind: 'reset', when: 'request', afterBytes: 3 }, 'ECONNRESET', []],
    [{ kind: 'reset', when: 'answer', afterBytes: 0 }, 'ECONNRESET', ['hello']],
    [{ kind: 'reset', when: 'answer', afterBytes: 900 }, /^ECONNRESET after [1-9]\d+$/, ['hello']],
    [{ kind: 'cut', afterBytes: 900 }, /^ECONNRESET after [1-9]\d+$/, ['hello']],
    [{ kind: 'half-open', when: 'request', ms: 30 }, 'ECONNRESET', []],
    [{ kind: 'half-open', when: 'answer', ms: 30 }, 'ECONNRESET', ['hello']],
    [{ kind: 'stall', when: 'request', ms: 30 }, '1:hello', ['hello']],
    [{ kind: 'stall', when: 'answer', ms: 30 }, '1:hello', ['hello']],
    [{ kind: 'throttle', bytesPerSecond: 20_000 }, '1:hello', ['hello']],
    [{ kind: 'duplicate', deliver: 'first' }, /^[12]:hello$/, ['hello', 'hello']],
    [{ kind: 'duplicate', deliver: 'second' }, /^[12]:hello$/, ['hello', 'hello']],
    [{ kind: 'replay', afterMs: 20 }, '1:hello', ['hello', 'hello']],
  ] as const satisfies readonly (readonly [ProxyFault, string | RegExp, readonly string[]])[])(
    '[SIM-61] %j does to client and server what it says, and the next request passes',
    async (fault, expected, reached) => {
      strikeOnce(fault)
      expect(await post('hello')).toMatch(expected)
      await until(() => served.length === reached.length)
      expect(served).toEqual(reached)
      expect(proxy.struck[fault.kind]).toBe(1)

      expect(await post('next')).toBe(`${reached.length + 1}:next`)
      expect(served).toEqual([...reached, 'next'])
    },
  )

  test('[SIM-61] a stall and a throttle take the time they say', async () => {
    strikeOnce({ kind: 'stall', when: 'answer', ms: 150 })
    const startMs = performance.now()
    await post('hello')
    const stalledMs = performance.now()
    strikeOnce({ kind: 'throttle', bytesPerSecond: 10_000 })
    await post('hello')
    expect(stalledMs - startMs).toBeGreaterThan(140)
    expect(performance.now() - stalledMs).toBeGreaterThan(180)
  })

  test('[SIM-62] healing resets what was swallowed, lets go what was held and forgets what was to be replayed', async () => {
    proxy.use(() => ({ kind: 'half-open', when: 'request' }))
    const swallowed = post('swallowed')
    await until(() => proxy.struck['half-open'] === 1)
    proxy.heal()
    expect(await swallowed).toBe('ECONNRESET')

    proxy.use(() => ({ kind: 'stall', when: 'request', ms: 60_000 }))
    const stalled = post('stalled')
    await until(() => proxy.struck.stall === 1)
    proxy.heal()
    expect(await stalled).toBe('1:stalled')

    await proxy.close()
    const due = new Set<() => void>()
    const setTimer = (work: () => void): (() => void) => {
      due.add(work)
      return () => void due.delete(work)
    }
    proxy = await openFaultProxy({ target: port(), env: { setTimer } })
    proxy.use(() => ({ kind: 'replay', afterMs: 50 }))
    expect(await post('once')).toBe('2:once')
    expect(due.size).toBe(1)
    proxy.heal()
    expect(due.size).toBe(0)
  })

  test('[SIM-63] a proxy that is down refuses connections and resets those that are open, until it is up', async () => {
    proxy.use(() => ({ kind: 'stall', when: 'request', ms: 60_000 }))
    const stalled = post('stalled')
    await until(() => proxy.struck.stall === 1)
    await proxy.down()
    expect(await stalled).toBe('ECONNRESET')
    expect(await post('refused')).toBe('ECONNREFUSED')
    proxy.use(() => ({ kind: 'pass' }))
    await proxy.up()
    expect(await post('again')).toBe('1:again')
  })

  test('[SIM-63] a connection that is about to end in order can be reset, and is gone then', async () => {
    const listener = createTcpServer()
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    // A TCP server that listens has an address of this kind.
    const client = connect({ port: (listener.address() as AddressInfo).port, allowHalfOpen: true })
    client.on('error', () => undefined)
    const [socket] = (await once(listener, 'connection')) as [Socket]
    socket.end()
    resetSocket(socket)
    await once(socket, 'close')
    client.destroy()
    listener.close()
  })

  test('[SIM-63] a client whose server is gone is reset, and served once it is back', async () => {
    const { port } = server.address() as AddressInfo
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
    expect(await post('lost')).toBe('ECONNRESET')
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    expect(await post('found')).toBe('1:found')
  })

  test('[SIM-60] what is no HTTP passes as one request', async () => {
    const echo = connect({ port: proxy.port, host: '127.0.0.1' })
    echo.write('not http at all\r\n\r\n')
    const [answer] = (await once(echo, 'data')) as [Buffer]
    expect(String(answer)).toMatch(/^HTTP\/1\.1 400/)
    echo.destroy()
    expect(proxy.struck.pass).toBe(1)
  })

  test('[SIM-64] a plan of chance decides the same for the same seed, and meets every kind', () => {
    const draw = (seed: number): ProxyFault[] => {
      const plan = seededFaults({ seed, chance: 0.5, longestMs: 100 })
      return Array.from({ length: 400 }, (_, index) =>
        plan({ method: 'GET', path: '/', index, connection: 0 }),
      )
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(8)).not.toEqual(draw(7))
    expect(new Set(draw(7).map(({ kind }) => kind)).size).toBe(9)
    expect(draw(7).filter(({ kind }) => kind === 'pass').length).toBeGreaterThan(150)
  })
})
