import { afterEach, describe, expect, test } from 'vitest'

import { type GivenServer, givenServer } from './given-server.ts'

const device = '0197a1b2-0000-7000-8000-00000000000a'
const bearer = (user: string): Record<string, string> => ({
  authorization: `Bearer ${user}`,
  'holdfast-device': device,
})

let given: GivenServer | undefined
afterEach(async () => {
  await given?.close()
  given = undefined
})

async function serve(options: Parameters<typeof givenServer>[0]): Promise<GivenServer> {
  given = await givenServer(options)
  return given
}

/** A request of a body that has begun, and does not go on until it is let. */
function begin(
  { sync }: GivenServer,
  path: string,
  user: string,
): { readonly answer: Promise<Response>; readonly end: () => void } {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  writer.write(new TextEncoder().encode('{')).catch(() => undefined)
  const init = { method: 'POST', body: readable, headers: bearer(user), duplex: 'half' } as const
  const answer = sync.fetch(new Request(`http://localhost${path}`, init))
  return { answer, end: () => void writer.close().catch(() => undefined) }
}

const body = { warehouseId: '1', name: 'Desk' }

describe('what is bounded', () => {
  test.each(['/records/items', '/sync/items', `/conflicts/${device}/resolve`, `/escrow/${device}`])(
    '[QU-14, QU-20] POST %s counts among pushes, whose bodies it holds as they do',
    async (path) => {
      const server = await serve({ limits: { pushesInFlight: 4 } })
      const [one, two, three] = [1, 2, 3].map(() => begin(server, path, 'ann'))
      expect((await three!.answer).status).toBe(429)
      const four = begin(server, path, 'ben')
      const five = begin(server, path, 'ben')
      const refused = await server.ask('POST /records/items', { user: 'boss', body })
      expect(refused).toMatchObject({ status: 429, body: { error: { code: 'RATE_LIMITED' } } })
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
      expect((await server.ask('GET /records/items', { user: 'boss' })).status).toBe(200)
      for (const each of [one, two, four, five]) each?.end()
      for (const each of [one, two, four, five]) await each?.answer
      expect((await server.ask('POST /records/items', { user: 'boss', body })).status).toBe(201)
    },
  )

  test('[QU-14] GET /records/items counts among pulls', async () => {
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const { ask } = await serve({
      limits: { pullsInFlight: 1 },
      authenticate: async (request) => {
        if (request.headers.get('x-slow') !== null) await held
        return { id: 'ann' }
      },
    })
    const slow = ask('GET /records/items', { headers: { 'x-slow': '1' } })
    expect((await ask('GET /records/items')).status).toBe(429)
    expect((await ask('POST /records/items', { body })).status).toBe(201)
    release()
    expect((await slow).status).toBe(200)
  })
})

describe('a request that does not come to its end', () => {
  const limits = { pushesInFlight: 2, shareOfUser: 1, requestTimeoutMs: 200 }

  test.each(['/sync/push', '/records/items'])(
    '[QU-21] POST %s whose body stands still is told to come back, and leaves room for others',
    async (path) => {
      const server = await serve({ limits })
      const slow = ['ann', 'ben'].map((user) => begin(server, path, user))
      expect((await server.ask('POST /records/items', { user: 'boss', body })).status).toBe(429)
      for (const { answer } of slow) {
        const { status, headers } = await answer
        expect(status).toBe(429)
        expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(5)
      }
      for (let push = 0; push < 3; push++)
        expect((await server.ask('POST /records/items', { user: 'boss', body })).status).toBe(201)
      for (const { end } of slow) end()
    },
  )

  test.each(['authenticate', 'scopes'] as const)(
    '[QU-21] a host that does not come back from %s holds up what it was asked for, and nobody else for long',
    async (what) => {
      let asked = 0
      const never = new Promise<never>(() => undefined)
      const late: (() => void)[] = []
      const hang = <Result>(result: Result): Promise<Result> | Result => {
        asked++
        if (asked === 1) return never
        return asked > 2 ? result : new Promise<Result>((resolve) => late.push(() => resolve(result)))
      }
      const user = (request: Request): { id: string } => ({
        id: request.headers.get('authorization')?.slice('Bearer '.length) ?? '',
      })
      const { ask, logs } = await serve({
        limits: { ...limits, shareOfUser: 0.5 },
        authenticate: (request) => (what === 'authenticate' ? hang(user(request)) : user(request)),
        scopes: () => (what === 'scopes' ? hang(['warehouse:1']) : ['warehouse:1']),
      })
      const hung = ['ann', 'ben'].map((each) => ask('POST /records/items', { user: each, body }))
      for (const answer of hung)
        expect(await answer).toMatchObject({ status: 500, body: { error: { code: 'SERVER_FAILED' } } })
      expect(logs.filter(({ level }) => level === 'error')).toHaveLength(2)
      // What comes too late takes no place.
      for (const come of late) come()
      await new Promise((resolve) => setTimeout(resolve, 20))
      for (let write = 0; write < 3; write++)
        expect((await ask('POST /records/items', { user: 'ben', body })).status).toBe(201)
    },
  )
})
