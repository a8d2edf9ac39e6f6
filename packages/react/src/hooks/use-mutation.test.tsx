import { act, cleanup, screen } from '@testing-library/react'
import { userEvent } from '@testing-library/user-event'
import { type ReactNode, StrictMode, useState } from 'react'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { type GivenApp, givenApp, hooks, type ShopClient } from '../given-app.tsx'
import type { MutationHandle } from './use-mutation.ts'

const { useMutation } = hooks

let app: GivenApp
let db: ShopClient
let item: string
beforeEach(async () => {
  app = givenApp()
  db = await app.open()
  item = await db.items.insert({ name: 'Rope', price: '1.00', stock: 10 })
  await app.sync(db)
})
afterEach(() => app.close())

type Write = (client: ShopClient) => Promise<unknown>

/** Shows a page with one mutation; gives it as of the newest render, and every status it had. */
async function givenMutation(client: ShopClient | Promise<ShopClient> | null = db): Promise<{
  readonly now: () => MutationHandle<readonly [Write], unknown>
  readonly statuses: string[]
  readonly mutate: (write: Write) => Promise<void>
}> {
  const statuses: string[] = []
  let handle: MutationHandle<readonly [Write], unknown> | undefined
  function Page(): ReactNode {
    handle = useMutation((client: ShopClient, write: Write) => write(client))
    if (handle.status !== statuses.at(-1)) statuses.push(handle.status)
    return <p>{handle.status}</p>
  }
  await app.show(
    client,
    <StrictMode>
      <Page />
    </StrictMode>,
  )
  const now = (): MutationHandle<readonly [Write], unknown> => {
    if (handle === undefined) throw new Error('nothing was rendered')
    return handle
  }
  return {
    now,
    statuses,
    mutate: async (write) => {
      await act(async () => now().mutate(write))
      await app.pass()
    },
  }
}

describe('a mutation', () => {
  test('[RE-5] is stored here first, then ruled on by the server, and written once', async () => {
    const { now, statuses, mutate } = await givenMutation()
    await mutate((client) => client.items.increment(item, { stock: -1 }))
    expect(now()).toMatchObject({ status: 'pending', error: null, verdicts: [] })
    expect(await db.outbox.list()).toHaveLength(1)
    await app.sync(db)
    expect(now()).toMatchObject({ status: 'applied', verdicts: [{ status: 'applied' }] })
    expect(statuses).toEqual(['idle', 'writing', 'pending', 'applied'])
    expect(app.server.record('items', item)).toMatchObject({ stock: 9 })
  })

  test('[RE-5] follows an insert, and gives what the function gave', async () => {
    const { now, mutate } = await givenMutation()
    await mutate((client) => client.items.insert({ name: 'Chain' }))
    expect(now().data).toEqual(expect.any(String))
    await app.sync(db)
    expect(now().status).toBe('applied')
  })

  test('[RE-5] says merged and conflict', async () => {
    const { now, mutate } = await givenMutation()
    app.server.write('items', item, { note: 'theirs', price: '2.00' })
    await mutate((client) => client.items.update(item, { note: 'mine' }))
    await app.sync(db)
    expect(now().status).toBe('merged')
    app.server.write('items', item, { price: '5.00' })
    await mutate((client) => client.items.update(item, { price: '3.00' }))
    await app.sync(db)
    expect(now().status).toBe('conflict')
  })

  test('[RE-5] says held while the server waits with it, and the verdict when it goes on', async () => {
    const { now, mutate } = await givenMutation()
    app.server.write('items', item, { price: '2.00' })
    await db.items.update(item, { price: '3.00' })
    app.server.script({ on: 'push', times: 1, fault: { kind: 'cut', when: 'before' } })
    await app.sync(db)
    await mutate((client) => client.items.update(item, { price: '4.00' }))
    await app.sync(db)
    expect(now().status).toBe('held')
    const [conflict] = await db.conflicts.list()
    await db.conflicts.keepMine(conflict?.id ?? '')
    await app.sync(db)
    await app.sync(db)
    expect(now().status).toBe('applied')
  })

  test('[RE-5] says rejected with the code, and retry while attempts fail', async () => {
    const { now, mutate } = await givenMutation()
    app.server.injectRefusals(1, 'NOT_AUTHORIZED')
    await mutate((client) => client.items.update(item, { price: '3.00' }))
    await app.sync(db)
    expect(now()).toMatchObject({ status: 'rejected', error: { code: 'NOT_AUTHORIZED' } })
  })

  test('[RE-5] says retry with the code while attempts fail, and the verdict in the end', async () => {
    const { now, mutate } = await givenMutation()
    app.env.connect(async (request) => {
      if (!request.url.endsWith('/sync/push')) return app.server.fetch(request)
      const { mutations } = (await request.json()) as { mutations: readonly { id: string }[] }
      const error = { code: 'SERVER_FAILED', message: 'the store is busy', retry: 'backoff' }
      const results = mutations.map(({ id }) => ({
        id,
        status: 'retry',
        version: null,
        serverUpdatedAt: null,
        error,
      }))
      return Response.json({ results, serverTime: new Date(app.env.now()).toISOString() })
    })
    await mutate((client) => client.items.update(item, { price: '3.00' }))
    await app.sync(db)
    expect(now()).toMatchObject({ status: 'retry', error: { code: 'SERVER_FAILED' } })
    app.env.connect(app.server.fetch)
    await app.pass(3_600_000)
    await app.sync(db)
    expect(now()).toMatchObject({ status: 'applied', error: null })
  })

  test('[RE-5] of several writes tells the worst, and a transaction counts as all it wrote', async () => {
    const { now, mutate } = await givenMutation()
    await mutate(async (client) => {
      const id = await client.items.insert({ name: 'Chain' })
      app.server.injectRefusals(1, 'CONSTRAINT_FAILED')
      await client.transaction(async (tx) => {
        await tx.items.update(item, { note: 'both' })
        await tx.shelves.insert({ label: 'A' })
      })
      return id
    })
    expect(now().status).toBe('pending')
    await app.sync(db)
    expect(now().verdicts).toHaveLength(3)
    expect(now().status).toBe('rejected')
  })

  test('[RE-5] a transaction that throws is failed and leaves nothing', async () => {
    const { now, mutate } = await givenMutation()
    await mutate((client) =>
      client.transaction(async (tx) => {
        await tx.items.update(item, { note: 'never' })
        throw new Error('changed my mind')
      }),
    )
    expect(now()).toMatchObject({ status: 'failed', error: { code: null, message: 'changed my mind' } })
    expect(await db.outbox.list()).toEqual([])
  })

  test('[RE-5] a write that is refused here fails with its code; mutateAsync rejects with it', async () => {
    const { now, mutate } = await givenMutation()
    await mutate((client) => client.items.update(item, { price: 'cheap' }))
    expect(now()).toMatchObject({ status: 'failed', error: { code: 'VALUE_INVALID' } })
    await act(async () => {
      await expect(now().mutateAsync((client) => client.items.delete('nothing'))).rejects.toMatchObject({
        code: 'RECORD_NOT_FOUND',
      })
    })
    await act(async () => now().reset())
    expect(now()).toMatchObject({ status: 'idle', error: null })
  })

  test('[RE-5] waits for writes that its function did not wait for, and fails with them', async () => {
    const { now, mutate } = await givenMutation()
    await mutate(async (client) => {
      for (const note of ['one', 'two']) void client.items.update(item, { note })
      void client.items.verdict(item)
    })
    expect(now().status).toBe('pending')
    await app.sync(db)
    expect(now()).toMatchObject({ status: 'applied', verdicts: [{}, {}] })
    await mutate(async (client) => {
      client.items.update(item, { price: 'cheap' }).catch(() => undefined)
    })
    expect(now()).toMatchObject({ status: 'failed', error: { code: 'VALUE_INVALID' } })
  })

  test('[RE-5] follows a dead letter that is tried again', async () => {
    const { now, mutate } = await givenMutation()
    app.server.injectRefusals(1, 'CONSTRAINT_FAILED')
    await db.items.update(item, { price: '3.00' })
    await app.sync(db)
    const [letter] = await db.deadLetters.list()
    await mutate((client) => client.deadLetters.editAndRetry(letter?.id ?? '', { price: '4.00' }))
    expect(now().status).toBe('pending')
    await app.sync(db)
    expect(now().status).toBe('applied')
  })

  test('[RE-5] what changes nothing, or writes nothing, says so at once', async () => {
    const { now, mutate } = await givenMutation()
    await mutate((client) => client.items.update(item, { name: 'Rope' }))
    expect(now().status).toBe('nothing')
    await mutate(async () => 'only looked')
    expect(now()).toMatchObject({ status: 'nothing', data: 'only looked' })
  })

  test('[RE-5] tells of the newest call only; the others are written all the same', async () => {
    const { now } = await givenMutation()
    await act(async () => {
      now().mutate((client) => client.items.increment(item, { stock: -1 }))
      now().mutate((client) => client.items.update(item, { price: 'cheap' }))
    })
    await app.pass()
    await app.sync(db)
    expect(now().status).toBe('failed')
    expect(app.server.record('items', item)).toMatchObject({ stock: 9 })
  })

  test('[RE-5] follows a decision on a conflict', async () => {
    const { now, mutate } = await givenMutation()
    app.server.write('items', item, { price: '2.00' })
    await db.items.update(item, { price: '3.00' })
    await app.sync(db)
    const [conflict] = await db.conflicts.list()
    await mutate((client) => client.conflicts.keepMine(conflict?.id ?? ''))
    expect(now().status).toBe('pending')
    await app.sync(db)
    expect(now().status).toBe('applied')
  })

  test('[RE-5] is what it was in the render that it was called from, whatever is shown a moment later', async () => {
    const next = await db.items.insert({ name: 'Chain' })
    function Page(): ReactNode {
      const [shown, setShown] = useState(item)
      const save = useMutation((client, note: string) => client.items.update(shown, { note }))
      const saveAndGoOn = (): void => {
        save.mutate('typed for the rope')
        setShown(next)
      }
      return <button onClick={saveAndGoOn}>Save and next</button>
    }
    await app.show(db, <Page />)
    await act(async () => userEvent.click(screen.getByRole('button')))
    await app.pass()
    expect(await db.items.get(item)).toMatchObject({ note: 'typed for the rope' })
    expect(await db.items.get(next)).toMatchObject({ note: null })
  })

  test('[RE-12] waits for a client that is being opened, and fails with a code where there is none', async () => {
    const { promise, resolve } = Promise.withResolvers<ShopClient>()
    const opening = await givenMutation(promise)
    await opening.mutate((client) => client.items.update(item, { note: 'later' }))
    expect(opening.now().status).toBe('writing')
    await act(async () => resolve(db))
    await app.pass()
    expect(opening.now().status).toBe('pending')
    const none = await givenMutation(null)
    await none.mutate((client) => client.items.update(item, { note: 'never' }))
    expect(none.now()).toMatchObject({ status: 'failed', error: { code: 'CLIENT_MISSING' } })
  })

  test('[RE-5] a failure that no component shows is reported by the platform', async () => {
    const reported: unknown[] = []
    const others = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    process.on('unhandledRejection', (error) => reported.push(error))
    const { now, mutate } = await givenMutation()
    await mutate((client) => client.items.update(item, { price: 'shown' }))
    await act(async () => {
      now().mutate((client) => client.items.update(item, { price: 'overtaken' }))
      now().mutate((client) => client.items.increment(item, { stock: -1 }))
    })
    await app.pass()
    await act(async () => {
      now().mutate((client) => client.items.delete('of a component that is gone'))
      cleanup()
    })
    await new Promise((resolve) => setImmediate(resolve))
    process.removeAllListeners('unhandledRejection')
    for (const other of others) process.on('unhandledRejection', other)
    expect(reported).toMatchObject([{ code: 'VALUE_INVALID' }, { code: 'RECORD_NOT_FOUND' }])
  })

  test('[RE-5] goes on without its component, and tells nobody', async () => {
    const { now } = await givenMutation()
    await act(async () => now().mutate((client) => client.items.increment(item, { stock: -1 })))
    cleanup()
    await app.sync(db)
    expect(app.server.record('items', item)).toMatchObject({ stock: 9 })
  })
})
