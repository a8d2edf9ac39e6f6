import { gunzipSync } from 'node:zlib'

import type { Json, Values } from '@holdfast/core'

import type { HeldAnswer } from '../answer-gate.ts'
import { listOf, readObject } from '../server-view.ts'
import { isPerson, type PersonId } from '../warehouse/people.ts'
import type { LineEnds } from '../warehouse/warehouse-server.ts'

/** One mutation that the server heard, and what it said of it. */
export interface HeardMutation {
  readonly id: Json | undefined
  readonly record: Json | undefined
  readonly status: Json | undefined
  /** It had been heard before. */
  readonly isDuplicate: boolean
}

/** A push that reached the server. */
export interface HeardPush {
  readonly person: PersonId
  readonly bodyBytes: number
  readonly mutations: readonly HeardMutation[]
}

/** What becomes of the answer to a push. */
type Fault = (answer: Response, line: { again(): Promise<Response>; cut(): void }) => Promise<Response>

/** The line between the warehouse's server and its devices. It hears every push, and can be made to fail at the worst moment. */
export class Wire {
  readonly #heard: HeardPush[] = []
  readonly #faults = new Map<PersonId, Fault>()
  /** Pushes that a person's token is still good for. */
  readonly #pushesLeft = new Map<PersonId, number>()
  readonly #endedTokens = new Set<string>()
  readonly #lockedOut = new Set<PersonId>()
  /** What a person's next refusal at the entrance waits for. */
  readonly #atTheEntrance = new Map<PersonId, () => Promise<void>>()

  /** The pushes that had something of a record in them, in the order they were heard. */
  pushesOf(record: string): readonly HeardPush[] {
    return this.#heard.filter(({ mutations }) => mutations.some((mutation) => mutation.record === record))
  }

  /** What the server heard of a record, and said of it, in that order. */
  heardOf(record: string): readonly HeardMutation[] {
    return this.#heard.flatMap(({ mutations }) => mutations.filter((mutation) => mutation.record === record))
  }

  /** The server decides on somebody's next push, and the answer waits until it is released. */
  holdNextPush(person: PersonId): HeldAnswer {
    const { wait, held } = gate()
    this.#faults.set(person, async (answer) => {
      await wait()
      return answer
    })
    return held
  }

  /** The server decides on somebody's next push, and the line breaks before the answer. Resolves when it has. */
  cutNextPush(person: PersonId): Promise<void> {
    const isCut = Promise.withResolvers<void>()
    this.#faults.set(person, async (answer, line) => {
      line.cut()
      isCut.resolve()
      return answer
    })
    return isCut.promise
  }

  /** Somebody's next push arrives twice, byte for byte, and the second answer is the one that comes through. Resolves when it was heard twice. */
  doubleNextPush(person: PersonId): Promise<void> {
    const isDoubled = Promise.withResolvers<void>()
    this.#faults.set(person, async (_lost, line) => {
      const answer = await line.again()
      isDoubled.resolve()
      return answer
    })
    return isDoubled.promise
  }

  /** Somebody's token is good for so many pushes more, and nobody gives them a new one before `letIn`. */
  endSession(person: PersonId, afterPushes: number): void {
    this.#pushesLeft.set(person, afterPushes)
    this.#lockedOut.add(person)
  }

  /** Somebody who is locked out asks to be let in, and hears that they are not once this is released. */
  holdNextRefusal(person: PersonId): HeldAnswer {
    const { wait, held } = gate()
    this.#atTheEntrance.set(person, wait)
    return held
  }

  letIn(person: PersonId): void {
    this.#lockedOut.delete(person)
  }

  /** Every request of a device comes by here, and goes on to the server. */
  readonly pass = async (request: Request, ends: LineEnds): Promise<Response> => {
    const { pathname, searchParams } = new URL(request.url)
    const person = searchParams.get('person')
    if (pathname === '/sign-in' && isPerson(person) && this.#lockedOut.has(person))
      return this.#refuse(person)
    if (this.#endedTokens.has(tokenOf(request)))
      request.headers.set('authorization', 'Bearer of-a-session-that-is-over')
    return pathname === '/api/sync/push' ? this.#passPush(request, ends) : ends.answer(request)
  }

  async #refuse(person: PersonId): Promise<Response> {
    const wait = this.#atTheEntrance.get(person)
    this.#atTheEntrance.delete(person)
    await wait?.()
    return Response.json({ error: 'this session is over' }, { status: 401 })
  }

  async #passPush(request: Request, ends: LineEnds): Promise<Response> {
    const token = tokenOf(request)
    const person = token.split('.')[0]
    const body = Buffer.from(await request.clone().arrayBuffer())
    const sent = listOf(readJson(body, request.headers), 'mutations')
    const again = request.clone()
    const answer = await ends.answer(request)
    // Pushes of nothing say what their device has heard; whom the server does not know, it has not heard.
    if (!isPerson(person) || sent.length === 0 || answer.status !== 200) return answer
    await this.#note(person, sent, { body, answer })
    this.#useUp(person, token)
    const fault = this.#faults.get(person)
    this.#faults.delete(person)
    if (fault === undefined) return answer
    return fault(answer, { cut: ends.cut, again: () => this.#passPush(again, ends) })
  }

  async #note(
    person: PersonId,
    sent: readonly Values[],
    { body, answer }: { readonly body: Buffer; readonly answer: Response },
  ): Promise<void> {
    const said = readJson(Buffer.from(await answer.clone().arrayBuffer()), answer.headers)
    const mutations = heard(sent, listOf(said, 'results'))
    this.#heard.push({ person, bodyBytes: body.length, mutations })
  }

  #useUp(person: PersonId, token: string): void {
    const left = (this.#pushesLeft.get(person) ?? Number.POSITIVE_INFINITY) - 1
    this.#pushesLeft.set(person, left)
    if (left === 0) this.#endedTokens.add(token)
  }
}

/** A place to wait at, and the hold on whoever waits there. */
function gate(): { readonly wait: () => Promise<void>; readonly held: HeldAnswer } {
  const reached = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const wait = (): Promise<void> => {
    reached.resolve()
    return released.promise
  }
  return { wait, held: { reached: reached.promise, release: released.resolve } }
}

function tokenOf(request: Request): string {
  return /^Bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1] ?? ''
}

function readJson(body: Buffer, headers: Headers): Values {
  const text = headers.get('content-encoding') === 'gzip' ? gunzipSync(body) : body
  return readObject(JSON.parse(text.toString()))
}

/** The mutations of a push, each with its result. */
function heard(sent: readonly Values[], results: readonly Values[]): readonly HeardMutation[] {
  return sent.map(({ id, record }) => {
    const result = results.find((each) => each['id'] === id)
    const isDuplicate = result?.['duplicate'] === true
    return { id, record, status: result?.['status'], isDuplicate }
  })
}
