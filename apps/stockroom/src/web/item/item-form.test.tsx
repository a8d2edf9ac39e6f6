import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { createNetworkConditions } from '@holdfast/react/inspector'
import {
  createFakeServer,
  createVirtualEnvironment,
  type FakeServer,
  type VirtualEnvironment,
} from '@holdfast/testing'
import { MantineProvider } from '@mantine/core'
import { act, cleanup, fireEvent, render, screen } from '@testing-library/react'
import type { ReactNode } from 'react'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { schema } from '../../warehouse/schema.ts'
import { HoldfastProvider, useRecord } from '../hooks.ts'
import { type Session, SessionProvider } from '../session.tsx'
import { ItemDrawer } from './item-drawer.tsx'
import { ItemForm } from './item-form.tsx'

let env: VirtualEnvironment
let server: FakeServer
let db: Client<typeof schema>
let item: string
beforeEach(async () => {
  env = createVirtualEnvironment({ seed: 1 })
  server = createFakeServer({ schema, env, scopes: { ana: ['global'] } })
  env.connect(server.fetch)
  db = await openClient({
    schema,
    storage: sqliteStorage(':memory:'),
    server: 'https://stockroom.example',
    auth: 'ana',
    env,
    durability: 'fast',
    sync: { auto: false },
  })
  const values = { name: 'Rope', sku: 'FA-1', category: 'Fasteners', location: 'A-01-1', stock: 5 }
  item = await db.items.insert({ ...values, price: '1.00' })
  await sync()
  // What Mantine asks of a browser.
  vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener() {}, removeEventListener() {} }))
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe(): void {}
      unobserve(): void {}
      disconnect(): void {}
    },
  )
  Object.defineProperty(document, 'fonts', { value: new EventTarget(), configurable: true })
})
afterEach(async () => {
  cleanup()
  vi.unstubAllGlobals()
  await db.close()
})

const sync = (): Promise<void> =>
  act(async () => {
    await env.complete(db.sync.now())
    await env.settle()
  })

const signedIn: Session = {
  person: 'ana',
  device: { db: Promise.reject(), conditions: createNetworkConditions(), signOut: async () => undefined },
  signOut: async () => undefined,
}
signedIn.device.db.catch(() => undefined)

async function show(children: ReactNode): Promise<void> {
  await act(async () => {
    render(
      <MantineProvider env="test">
        <HoldfastProvider client={db} env={env} locale="en-GB">
          <SessionProvider session={signedIn}>{children}</SessionProvider>
        </HoldfastProvider>
      </MantineProvider>,
    )
    await env.settle()
  })
  await act(() => env.advance(0))
}

/** The form of the item, as the drawer has it. */
function Form(): ReactNode {
  const { record } = useRecord('items', item)
  return record === undefined ? null : <ItemForm item={record} />
}

const field = (label: string): HTMLInputElement => screen.getByLabelText<HTMLInputElement>(label)

const type = (label: string, value: string): Promise<void> =>
  act(async () => void fireEvent.change(field(label), { target: { value } }))

async function save(): Promise<void> {
  await act(async () => fireEvent.click(screen.getByRole('button', { name: 'Save' })))
  await act(() => env.advance(0))
}

describe('the form of an item', () => {
  test('[WR-14] meets a price that somebody else wrote while it was open', async () => {
    await show(<Form />)
    await type('Price', '3,00')
    server.write('items', item, { price: '2.00', location: 'B-02-2' })
    await sync()
    expect([field('Price').value, field('Location').value]).toEqual(['3,00', 'B-02-2'])
    await save()
    await sync()
    expect(server.record('items', item)).toMatchObject({ price: '2.00', location: 'B-02-2' })
    expect(await db.conflicts.list()).toMatchObject([{ parts: [{ mine: { price: '3.00' } }] }])
  })

  test('keeps what was typed until it is stored, and nothing of it afterwards', async () => {
    await show(<Form />)
    await type('Location', 'C-03-3')
    const update = vi.spyOn(db.items, 'update')
    update.mockImplementationOnce(async () => {
      server.write('items', item, { stock: 4 })
      await env.complete(db.sync.now())
      await env.settle()
      throw new Error('the disk is full')
    })
    await save()
    await sync()
    expect(screen.getByRole('alert').textContent).toBe('the disk is full')
    expect(field('Location').value).toBe('C-03-3')
    await save()
    await type('Price', '3.00')
    server.write('items', item, { location: 'D-04-4' })
    await sync()
    await save()
    expect(update.mock.calls.map(([, change]) => change)).toEqual([
      { location: 'C-03-3' },
      { location: 'C-03-3' },
      { price: '3.00' },
    ])
  })

  test('writes each text that is saved, however fast, and none twice', async () => {
    await show(<Form />)
    const save = (): boolean => fireEvent.click(screen.getByRole('button', { name: 'Save' }))
    await type('Notes', 'one')
    act(() => void save())
    act(() => void save())
    await type('Notes', 'two')
    await act(async () => void save())
    await type('Notes', 'three')
    await act(() => env.advance(0))
    expect((await db.outbox.list()).map(({ payload }) => payload.changes['notes'])).toEqual(['one', 'two'])
    expect(field('Notes').value).toBe('three')
    await act(async () => void save())
    await act(() => env.advance(0))
    expect((await db.outbox.list()).map(({ payload }) => payload.base)).toEqual([
      { notes: '' },
      { notes: 'one' },
      { notes: 'two' },
    ])
  })

  test('stays with what was typed when somebody else removes the item', async () => {
    await show(<ItemDrawer id={item} onClose={() => undefined} />)
    await type('Location', 'C-03-3')
    server.delete('items', item)
    await sync()
    expect(screen.getByText('This item was removed from the warehouse.')).toBeDefined()
    expect(field('Location').value).toBe('C-03-3')
    await save()
    expect(screen.getAllByRole('alert')[0]?.textContent).toContain('there is no items')
    expect(field('Location').value).toBe('C-03-3')
  })
})
