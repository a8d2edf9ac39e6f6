import { type Limits, limits } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import type { Caller, CommitEvent, Grants } from '../engine.ts'
import { StreamHub } from './stream-hub.ts'

interface Timer {
  readonly atMs: number
  readonly callback: () => void
}

/** A hub on a clock that only moves when told, over an engine that knows commits and grants and nothing else. */
function givenHub(lowered: Partial<Limits> = {}) {
  let nowMs = Date.parse('2026-11-20T10:00:00.000Z')
  let grants: Grants = ['warehouse:1']
  const timers = new Set<Timer>()
  const lagsMs: number[] = []
  let openCount = 0
  let tell: (event: CommitEvent) => void = () => undefined
  const hub = new StreamHub({
    engine: {
      grantsOf: async () => grants,
      concerns: (caller, event) =>
        event.scopes === '*' ||
        event.scopes.some((scope) => caller.grants === '*' || caller.grants.includes(scope)),
      subscribe: (listener) => {
        tell = listener
        return () => {
          tell = () => undefined
        }
      },
    },
    env: {
      now: () => nowMs,
      monotonicMs: () => nowMs,
      random: () => 0.5,
      randomBytes: (bytes) => bytes,
      setTimer: (callback, delayMs) => {
        const timer = { atMs: nowMs + delayMs, callback }
        timers.add(timer)
        return () => timers.delete(timer)
      },
      fetch: () => Promise.reject(new Error('no network')),
    },
    limits: { ...limits, ...lowered },
    metrics: {
      contentType: '',
      requestAnswered: () => undefined,
      pushAnswered: () => undefined,
      streamOpened: () => openCount++,
      streamEnded: () => openCount--,
      rangesRepaired: () => undefined,
      attachmentBytes: () => undefined,
      pokeSent: (lagMs) => lagsMs.push(lagMs),
      text: async () => '',
    },
    logger: undefined,
  })
  /** Lets promises settle, then fires what is due, in order, until `ms` have passed. */
  const advance = async (ms: number): Promise<void> => {
    const untilMs = nowMs + ms
    for (;;) {
      await settle()
      const [due] = [...timers].filter((timer) => timer.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)
      if (!due) break
      timers.delete(due)
      nowMs = Math.max(nowMs, due.atMs)
      due.callback()
    }
    nowMs = untilMs
    await settle()
  }
  return {
    hub,
    advance,
    commit: (scopes: CommitEvent['scopes'], device: string | null = null, user = 'ann') =>
      tell({ scopes, device, user }),
    grant: (next: Grants) => {
      grants = next
    },
    now: () => nowMs,
    timerCount: () => timers.size,
    openCount: () => openCount,
    lagsMs,
  }
}

function settle(): Promise<void> {
  return new Promise((done) => setImmediate(done))
}

function givenCaller(expiresAt?: number): Caller {
  return {
    user: { id: 'ann', expiresAt },
    device: 'tablet',
    grants: ['warehouse:1'],
    schemaVersion: 1,
    requestId: 'r',
  }
}

/** Collects the names of the events of a stream, comments as ':', and '.' at its end. */
function follow(body: ReadableStream<Uint8Array>): string[] {
  const seen: string[] = []
  void (async () => {
    for await (const bytes of body) {
      for (const block of new TextDecoder().decode(bytes).split('\n\n').filter(Boolean)) {
        seen.push(block.startsWith(':') ? ':' : (/^event: (\w+)\ndata: \{\}$/.exec(block)?.[1] ?? block))
      }
    }
    seen.push('.')
  })()
  return seen
}

describe('pokes', () => {
  test('[PH-18] a stream begins with a poke and pokes for commits in granted scopes only', async () => {
    const { hub, commit, advance } = givenHub()
    const seen = follow(hub.open(givenCaller()))
    await advance(0)
    expect(seen).toEqual(['poke'])
    commit(['warehouse:2'])
    await advance(200)
    expect(seen).toEqual(['poke'])
    commit(['warehouse:2', 'warehouse:1'])
    await advance(200)
    expect(seen).toEqual(['poke', 'poke'])
  })

  test('[PH-18] B40: a scope that was revoked since pokes no more, and one that was granted does', async () => {
    const { hub, commit, grant, advance } = givenHub()
    const seen = follow(hub.open(givenCaller()))
    grant(['warehouse:2'])
    commit(['warehouse:3'])
    await advance(200)
    expect(seen).toEqual(['poke', 'poke'])
    commit(['warehouse:1'])
    await advance(200)
    expect(seen).toEqual(['poke', 'poke'])
    commit(['warehouse:2'])
    await advance(200)
    expect(seen).toEqual(['poke', 'poke', 'poke'])
  })

  test('[PH-19] a burst of commits is one poke at once and one after the pause', async () => {
    const { hub, commit, advance, lagsMs } = givenHub()
    const seen = follow(hub.open(givenCaller()))
    await advance(0)
    for (let index = 0; index < 1_000; index++) commit(['warehouse:1'])
    await advance(1_000)
    expect(seen).toEqual(['poke', 'poke', 'poke'])
    for (let index = 0; index < 10; index++) {
      commit(['warehouse:1'])
      await advance(10)
    }
    await advance(1_000)
    // Ten commits within 100 ms: one poke at once, one for all the others.
    expect(seen.length).toBe(5)
    expect(Math.max(...lagsMs)).toBeLessThanOrEqual(limits.pokeIntervalMs)
  })

  test('[PH-19] B53: a reader that stalls is owed one poke, however many commits there were', async () => {
    const { hub, commit, advance } = givenHub()
    const reader = hub.open(givenCaller()).getReader()
    for (let index = 0; index < 100; index++) {
      commit(['warehouse:1'])
      await advance(200)
    }
    let pokeCount = 0
    void (async () => {
      while (!(await reader.read()).done) pokeCount++
    })()
    await advance(0)
    // Four that the stream buffers, and the one that is owed.
    expect(pokeCount).toBe(5)
  })

  test('[PH-21] the device that pushed is not poked for it', async () => {
    const { hub, commit, advance } = givenHub()
    const seen = follow(hub.open(givenCaller()))
    commit(['warehouse:1'], 'tablet')
    await advance(200)
    expect(seen).toEqual(['poke'])
    commit(['warehouse:1'], 'phone')
    await advance(200)
    expect(seen).toEqual(['poke', 'poke'])
  })

  test('[PH-21] a push of somebody else under the same device id is told of', async () => {
    const { hub, commit, advance } = givenHub()
    const seen = follow(hub.open(givenCaller()))
    commit(['warehouse:1'], 'tablet', 'eve')
    await advance(200)
    expect(seen).toEqual(['poke', 'poke'])
  })

  test('[PH-21] a device and a copy of it are both poked: which of them pushed, nobody knows', async () => {
    const { hub, commit, advance } = givenHub()
    const both = [follow(hub.open(givenCaller())), follow(hub.open(givenCaller()))]
    commit(['warehouse:1'], 'tablet')
    await advance(200)
    expect(both).toEqual([
      ['poke', 'poke'],
      ['poke', 'poke'],
    ])
  })

  test('[PH-21] a copy that pushes before it listens: the device that listened alone is poked once it does', async () => {
    const { hub, commit, advance } = givenHub()
    const first = follow(hub.open(givenCaller()))
    commit(['warehouse:1'], 'tablet')
    await advance(200)
    expect(first).toEqual(['poke'])
    const second = follow(hub.open(givenCaller()))
    await advance(200)
    expect([first, second]).toEqual([['poke', 'poke'], ['poke']])
    follow(hub.open(givenCaller()))
    await advance(200)
    expect([first, second]).toEqual([['poke', 'poke'], ['poke']])
  })

  test('[PH-22] changed grants are a poke at the next heartbeat', async () => {
    const { hub, grant, advance } = givenHub()
    const seen = follow(hub.open(givenCaller()))
    await advance(1_000)
    grant([])
    await advance(limits.streamHeartbeatMs)
    expect(seen).toEqual(['poke', ':', 'poke'])
  })
})

describe('lifetime', () => {
  test('[PH-20] every silence is broken, and the stream ends with its token', async () => {
    const { hub, advance, now, timerCount, openCount } = givenHub()
    const seen = follow(hub.open(givenCaller(now() + 50_000)))
    await advance(49_999)
    expect(seen).toEqual(['poke', ':', ':'])
    await advance(1)
    expect(seen).toEqual(['poke', ':', ':', '.'])
    expect([timerCount(), openCount()]).toEqual([0, 0])
  })

  test('[PH-20] closing the server ends every stream', async () => {
    const { hub, advance, timerCount, openCount } = givenHub()
    const seen = [follow(hub.open(givenCaller())), follow(hub.open(givenCaller()))]
    await advance(0)
    hub.close()
    hub.close()
    await advance(0)
    expect(seen).toEqual([
      ['poke', '.'],
      ['poke', '.'],
    ])
    expect([timerCount(), openCount()]).toEqual([0, 0])
  })

  test('[PH-20] a stream that was asked for before the server closed is not opened after it', () => {
    const { hub, openCount } = givenHub()
    hub.close()
    expect(() => hub.open(givenCaller())).toThrow(expect.objectContaining({ code: 'SERVER_CLOSING' }))
    expect(openCount()).toBe(0)
  })

  test('a reader that goes away leaves nothing behind', async () => {
    const { hub, advance, commit, timerCount, openCount } = givenHub()
    const body = hub.open(givenCaller())
    commit(['warehouse:1'])
    await body.cancel()
    await advance(200)
    expect([timerCount(), openCount()]).toEqual([0, 0])
  })

  test('[QU-20] one user has a share of all streams, also after some of them ended', async () => {
    const { hub } = givenHub({ streams: 4 })
    const [ann, bob] = [givenCaller(), { ...givenCaller(), user: { id: 'bob' } }]
    const full = expect.objectContaining({ code: 'RATE_LIMITED', retryAfterMs: 17_500 })
    const bodies = [hub.open(ann), hub.open(ann)]
    expect(() => hub.open(ann)).toThrow(full)
    hub.open(bob)
    await bodies[0]?.cancel()
    hub.open(ann)
    expect(() => hub.open(ann)).toThrow(full)
  })

  test('[PH-21] a stream over the limit is turned away with a time to wait', () => {
    const { hub } = givenHub({ streams: 1 })
    hub.open(givenCaller())
    expect(() => hub.open(givenCaller())).toThrow(
      expect.objectContaining({ code: 'RATE_LIMITED', retryAfterMs: 17_500 }),
    )
  })
})
