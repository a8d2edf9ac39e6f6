import { act, fireEvent, screen, within } from '@testing-library/react'
import axe from 'axe-core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { type GivenApp, givenApp, type ShopClient } from '../given-app.tsx'
import { createNetworkConditions, Inspector } from './index.ts'

let app: GivenApp
let db: ShopClient
let item: string
beforeEach(async () => {
  app = givenApp()
  db = await app.open()
  item = await db.items.insert({ name: 'Rope', price: '1.00', stock: 3 })
  await app.sync(db)
})
afterEach(() => app.close())

async function choose(name: string, role = 'tab'): Promise<void> {
  await act(async () => fireEvent.click(screen.getByRole(role, { name })))
  await app.pass()
}

async function violations(): Promise<readonly string[]> {
  const { violations: found } = await axe.run(document.body, {
    rules: { 'color-contrast': { enabled: false }, region: { enabled: false } },
  })
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
}

describe('the inspector', () => {
  test('[RE-14] reads nothing until it is opened, then shows the outbox as it changes', async () => {
    await app.show(db, <Inspector />)
    expect(screen.queryByRole('tablist')).toBeNull()
    await choose('Holdfast idle, 0 pending', 'button')
    expect(screen.getByText('The outbox is empty: the server has everything.')).toBeDefined()
    await act(() => db.items.update(item, { note: 'new' }))
    await app.pass()
    const row = screen.getByRole('row', { name: /update items/ })
    expect(within(row).getByText('pending')).toBeDefined()
    await act(async () => fireEvent.click(screen.getByRole('button', { name: /about entry 2/ })))
    expect(screen.getByText(/"baseVersion": 1/)).toBeDefined()
    expect(await violations()).toEqual([])
  })

  test('[RE-14] does not say that the server has everything before it knows, nor while a file is to be sent', async () => {
    await db.items.update(item, { photo: await db.attachments.add(Uint8Array.of(1, 2, 3)) })
    app.server.script({ on: 'upload', fault: { kind: 'answer', status: 500 } })
    await app.sync(db)
    const shown = await app.show(db, <Inspector isOpen />)
    expect(screen.getByText('The outbox is empty; files that are to be sent: 1.')).toBeDefined()
    shown.unmount()
    await app.show(null, <Inspector isOpen />)
    expect(screen.getByText('Reading…')).toBeDefined()
  })

  test('[RE-14] says why a record is as it is, beside what the server has of it', async () => {
    await db.items.update(item, { price: '3.00' })
    await app.show(db, <Inspector isOpen />)
    await choose(`${item.slice(0, 8)}…`, 'button')
    expect(screen.getByText('This update of price was not sent yet.')).toBeDefined()
    const row = screen.getByRole('row', { name: /^price/ })
    expect(
      within(row)
        .getAllByRole('cell')
        .map((cell) => cell.textContent),
    ).toEqual(['"3.00"', '"1.00"'])
    expect(row.dataset['differs']).toBe('true')
    expect(screen.getByRole('row', { name: /^name/ }).dataset['differs']).toBeUndefined()
    expect(await violations()).toEqual([])
    await app.sync(db)
    expect(within(screen.getByRole('row', { name: /^price/ })).getAllByText('"3.00"')).toHaveLength(2)
  })

  test('[RE-14] says where the device is in the feed', async () => {
    await app.show(db, <Inspector isOpen />)
    await choose('Feed')
    expect(screen.getByText(db.identity().device)).toBeDefined()
    expect(screen.getByText('items 1, shelves 0')).toBeDefined()
    expect(screen.getByText('1 of 1 got to their end')).toBeDefined()
    expect(await violations()).toEqual([])
  })

  test('[RE-14] tabs are walked by the arrow keys', async () => {
    await app.show(db, <Inspector isOpen />)
    const outbox = screen.getByRole('tab', { name: 'Outbox' })
    outbox.focus()
    await act(async () => fireEvent.keyDown(outbox, { key: 'ArrowRight' }))
    expect(document.activeElement).toBe(screen.getByRole('tab', { name: 'Record', selected: true }))
    await act(async () => fireEvent.keyDown(document.activeElement ?? document.body, { key: 'ArrowLeft' }))
    expect(document.activeElement).toBe(screen.getByRole('tab', { name: 'Outbox', selected: true }))
  })

  test('[RE-15] sliders make the network worse while the app runs', async () => {
    const conditions = createNetworkConditions(app.env)
    await app.show(db, <Inspector isOpen conditions={conditions} />)
    await choose('Network')
    await act(async () => fireEvent.change(screen.getByLabelText('Latency'), { target: { value: '400' } }))
    await act(async () => fireEvent.change(screen.getByLabelText('Loss'), { target: { value: '25' } }))
    await act(async () => fireEvent.click(screen.getByLabelText('Offline')))
    expect(conditions.settings()).toEqual({ latencyMs: 400, lossRate: 0.25, isOffline: true })
    expect(screen.getByText('400 ms')).toBeDefined()
    expect(await violations()).toEqual([])
  })
})

describe('network conditions', () => {
  const request = (signal?: AbortSignal): Request => new Request('https://shop.example/sync/pull', { signal })

  test('[RE-15] hold up every request there and back, and let go of one that is called off', async () => {
    const conditions = createNetworkConditions(app.env)
    app.env.connect(async () => new Response('seen'))
    conditions.set({ latencyMs: 1_000 })
    const before = app.env.now()
    await app.env.complete(conditions.env.fetch(request()))
    expect(app.env.now() - before).toBe(1_000)
    const controller = new AbortController()
    const called = conditions.env.fetch(request(controller.signal))
    controller.abort(new Error('called off'))
    await expect(called).rejects.toThrow('called off')
    expect(app.env.timerCount).toBe(0)
  })

  test('[RE-15] lose half of what is lost before the server sees it, and half with the answer', async () => {
    const conditions = createNetworkConditions(app.env)
    let seen = 0
    app.env.connect(async () => {
      seen++
      return new Response('seen')
    })
    conditions.set({ lossRate: 0.5 })
    let answered = 0
    for (let n = 0; n < 400; n++) {
      await conditions.env.fetch(request()).then(
        () => answered++,
        (error: unknown) => expect(error).toBeInstanceOf(TypeError),
      )
    }
    // Half of 400 are answered, and half of the others were seen; the dice are those of the test, the same in every run.
    expect(Math.abs(answered - 200)).toBeLessThan(25)
    expect(Math.abs(seen - 300)).toBeLessThan(25)
    conditions.set({ lossRate: 0, isOffline: true })
    await expect(conditions.env.fetch(request())).rejects.toBeInstanceOf(TypeError)
  })

  test('[RE-15] a client behind them goes on as behind any bad network', async () => {
    const conditions = createNetworkConditions(app.env)
    conditions.set({ lossRate: 0.4, latencyMs: 200 })
    app.env.connect(app.server.fetch)
    const { openClient } = await import('@holdfast/client')
    const { sqliteStorage } = await import('@holdfast/client/node')
    const { schema } = await import('../given-app.tsx')
    const other = await openClient({
      schema,
      storage: sqliteStorage(':memory:'),
      server: 'https://shop.example',
      auth: 'ann',
      env: conditions.env,
    })
    const id = await other.items.insert({ name: 'Chain', stock: 2 })
    await app.env.advance(600_000)
    await other.items.increment(id, { stock: -1 })
    await app.env.advance(600_000)
    expect(app.server.record('items', id)).toMatchObject({ stock: 1 })
    await other.close()
  })
})
