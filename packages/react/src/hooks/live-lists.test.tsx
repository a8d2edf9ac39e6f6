import { act } from '@testing-library/react'
import type { Conflict, DeadLetter, Entry, ForetoldConflict, SyncStatus } from '@holdfast/client'
import type { ReactNode } from 'react'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { type GivenApp, givenApp, hooks, type ShopClient } from '../given-app.tsx'

const { useSyncStatus, useConflicts, useForetold, useDeadLetters, useOutbox } = hooks

interface Seen {
  readonly status: SyncStatus | undefined
  readonly conflicts: readonly Conflict[]
  readonly foretold: readonly ForetoldConflict[]
  readonly letters: readonly DeadLetter[]
  readonly entries: readonly Entry[]
}

let app: GivenApp
let db: ShopClient
let item: string
beforeEach(async () => {
  app = givenApp()
  db = await app.open()
  item = await db.items.insert({ name: 'Rope', price: '1.00' })
  await app.sync(db)
})
afterEach(() => app.close())

let seen: Seen
function Everything(): ReactNode {
  seen = {
    status: useSyncStatus(),
    conflicts: useConflicts().conflicts,
    foretold: useForetold().foretold,
    letters: useDeadLetters().letters,
    entries: useOutbox({ limit: 2 }).entries,
  }
  return null
}

describe('what is live beside rows', () => {
  test('[RE-6] status and outbox follow a write up to its settlement', async () => {
    await app.show(db, <Everything />)
    expect(seen).toMatchObject({ status: { pendingCount: 0 }, entries: [] })
    await act(() => db.items.update(item, { note: 'new' }))
    await app.pass()
    expect(seen).toMatchObject({
      status: { pendingCount: 1 },
      entries: [{ record: item, status: 'pending' }],
    })
    await app.sync(db)
    expect(seen).toMatchObject({ status: { pendingCount: 0 }, entries: [] })
  })

  test('[RE-6] a conflict is foretold after the pull, open after the push, and gone when it is settled', async () => {
    await app.show(db, <Everything />)
    app.server.write('items', item, { price: '2.00' })
    await act(() => db.items.update(item, { price: '3.00' }))
    // The push fails alone, so the next cycle begins with a pull.
    app.server.script({ on: 'push', fault: { kind: 'answer', status: 500 } })
    await app.sync(db)
    await app.sync(db)
    expect(seen).toMatchObject({ status: { foretoldCount: 1 }, conflicts: [], foretold: [{ record: item }] })
    app.server.heal()
    await app.pass(60_000)
    await app.sync(db)
    expect([seen.foretold, seen.conflicts]).toMatchObject([[], [{ record: item, kind: 'fields' }]])
    await act(() => db.conflicts.keepMine(seen.conflicts[0]?.id ?? ''))
    await app.sync(db)
    expect(seen.conflicts).toEqual([])
  })

  test('[RE-2] letters that did not change are the same objects, and the list while none did', async () => {
    await app.show(db, <Everything />)
    app.server.injectRefusals(1, 'NOT_AUTHORIZED')
    await act(() => db.items.update(item, { price: '3.00' }))
    await app.sync(db)
    const before = seen.letters
    expect(before).toMatchObject([{ error: { code: 'NOT_AUTHORIZED' } }])
    await act(() => db.shelves.insert({ label: 'A' }))
    await app.pass()
    expect(seen.letters).toBe(before)
    expect(seen.entries).toHaveLength(2)
    const other = await db.items.insert({ name: 'Chain' })
    app.server.injectRefusals(2, 'NOT_AUTHORIZED')
    await app.sync(db)
    expect(other).toBeDefined()
    expect(seen.letters.length).toBeGreaterThan(1)
    expect(seen.letters[0]).toBe(before[0])
  })

  test('[RE-12] is empty and not known on a server', () => {
    renderToString(app.element(null, <Everything />))
    expect(seen).toEqual({ status: undefined, conflicts: [], foretold: [], letters: [], entries: [] })
  })

  test('[RE-8] what is foretold is told again after a failure, also when it is the same', async () => {
    const statuses: string[] = []
    function Foretold(): ReactNode {
      const { status } = useForetold()
      if (status !== statuses.at(-1)) statuses.push(status)
      return null
    }
    await app.show(db, <Foretold />)
    vi.spyOn(db.conflicts, 'foretold').mockRejectedValueOnce(new Error('the disk'))
    await act(() => db.items.update(item, { note: 'one' }))
    await app.pass()
    await act(() => db.items.update(item, { note: 'two' }))
    await app.pass()
    await act(() => db.items.insert({ name: 'Chain' }))
    await app.pass()
    expect(statuses).toEqual(['pending', 'ready', 'error', 'ready'])
  })
})
