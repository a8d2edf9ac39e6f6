import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { collection, counter, decimal, defineSchema, type TablesOf, text } from '@holdfast/core'
import { createFakeServer, createVirtualEnvironment } from '@holdfast/testing'
import { act, cleanup, fireEvent, render, screen } from '@testing-library/react'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ReactElement, type ReactNode, Suspense, useState } from 'react'
import { afterEach, describe, expect, test } from 'vitest'

import { createNetworkConditions, Inspector } from './inspector/index.ts'
import { ConflictScreen, createHooks, DeadLetterList, RecordBadge, StatusBar } from './index.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({ fields: { name: text(), stock: counter(), price: decimal({ optional: true }) } }),
  },
})

type Item = TablesOf<typeof schema>['items']

// The page shows what stands between each pair of marks, word for word.

// begin hooks
export const {
  HoldfastProvider,
  useClient,
  useConflicts,
  useLiveQuery,
  useMutation,
  useRecord,
  useSuspenseLiveQuery,
  useSyncStatus,
} = createHooks(schema)
// end hooks

// begin list
function LowStock({ limit }: { readonly limit: number }): ReactElement {
  const { rows, status, error } = useLiveQuery((q) =>
    q.selectFrom('items').selectAll().where('stock', '<', limit).orderBy('name'),
  )
  if (error !== null) return <p>{error.message}</p>
  if (status === 'pending') return <p>…</p>
  return (
    <ul>
      {rows.map((item) => (
        <li key={item.id}>
          {item.name}: {item.stock} <RecordBadge state={item._state} />
        </li>
      ))}
    </ul>
  )
}
// end list

// begin sell
function Sell({ id }: { readonly id: string }): ReactElement {
  const { record } = useRecord('items', id)
  const sale = useMutation((db, count: number) => db.items.increment(id, { stock: -count }))
  return (
    <p>
      {record?.name} <button onClick={() => sale.mutate(1)}>Sell one</button>
      {sale.status === 'pending' ? 'stored here' : sale.status}
      {sale.error === null ? null : ` (${sale.error.code ?? sale.error.message})`}
    </p>
  )
}
// end sell

// begin form
function PriceForm({ item }: { readonly item: Item }): ReactElement {
  const [seen] = useState(item)
  const [price, setPrice] = useState(item.price ?? '')
  const save = useMutation((db) => db.items.update(seen.id, { price }, seen))
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        save.mutate()
      }}
    >
      <input aria-label="Price" value={price} onChange={(event) => setPrice(event.target.value)} />
      <button>Save</button> {save.error === null ? save.status : save.error.message}
    </form>
  )
}
// end form

// begin suspense
function Names(): ReactElement {
  const rows = useSuspenseLiveQuery((q) => q.selectFrom('items').select(['id', 'name']).orderBy('name'))
  return <p>{rows.map(({ name }) => name).join(', ')}</p>
}

function Page(): ReactElement {
  return (
    <Suspense fallback={<p>one moment</p>}>
      <Names />
    </Suspense>
  )
}
// end suspense

// begin care
function Care({ tab, onTab }: { readonly tab: string; readonly onTab: (tab: string) => void }): ReactElement {
  return (
    <>
      <StatusBar onShowConflicts={() => onTab('conflicts')} onShowDeadLetters={() => onTab('letters')} />
      {tab === 'conflicts' ? <ConflictScreen titleOf={({ record }) => `Item ${record.slice(0, 8)}`} /> : null}
      {tab === 'letters' ? <DeadLetterList /> : null}
    </>
  )
}
// end care

// begin words
const german = {
  status: { saved: 'Alles gespeichert', syncNow: 'Jetzt abgleichen', justNow: 'gerade eben' },
  fieldName: (field: string) => ({ price: 'Preis', stock: 'Bestand' })[field] ?? field,
}
// end words

const env = createVirtualEnvironment({ seed: 1 })
const server = createFakeServer({ schema, env, scopes: { ann: ['global'] } })
env.connect(server.fetch)
const storage = sqliteStorage(':memory:')

// begin inspector
const conditions = createNetworkConditions(env)
const client = openClient({
  schema,
  storage,
  server: 'https://any.example',
  auth: 'ann',
  env: conditions.env,
})

function Root({ children }: { readonly children: ReactNode }): ReactElement {
  return (
    <HoldfastProvider client={client}>
      {children}
      <Inspector conditions={conditions} />
    </HoldfastProvider>
  )
}
// end inspector

const show = async (children: ReactNode): Promise<void> => {
  await act(async () => {
    render(
      <HoldfastProvider client={client} env={env} labels={german} locale="de">
        {children}
      </HoldfastProvider>,
    )
    await env.settle()
  })
  await act(() => env.advance(0))
}

describe('the page on React', () => {
  afterEach(cleanup)

  test('[RE-13] shows examples that are compiled and run, word for word', async () => {
    const source = readFileSync(import.meta.filename, 'utf8')
    const page = readFileSync(join(import.meta.dirname, '../../../docs/react.md'), 'utf8')
    const examples = [...source.matchAll(/^\/\/ begin (\w+)\n([\s\S]*?)^\/\/ end \1$/gm)]
    expect(examples.map(([, name]) => name)).toHaveLength(8)
    for (const [, , text = ''] of examples) expect(page).toContain(text)

    const db = await client
    const id = await db.items.insert({ name: 'Rope', stock: 3 })
    await show(
      <>
        <LowStock limit={5} />
        <Sell id={id} />
        <Page />
        <Care tab="conflicts" onTab={() => undefined} />
      </>,
    )
    expect(screen.getByRole('listitem').textContent).toContain('Rope: 3')
    await act(async () => fireEvent.click(screen.getByRole('button', { name: 'Sell one' })))
    await act(() => env.advance(0))
    expect(screen.getByRole('listitem').textContent).toContain('Rope: 2')
    await act(() => env.advance(10_000))
    expect(screen.getByText('Alles gespeichert')).toBeDefined()
    expect(server.record('items', id)).toMatchObject({ stock: 2 })
    cleanup()
    const item = await db.items.get(id)
    if (item !== undefined) await show(<PriceForm item={item} />)
    server.write('items', id, { price: '2.00' })
    await act(() => env.advance(60_000))
    await act(async () => {
      fireEvent.change(screen.getByLabelText('Price'), { target: { value: '3.00' } })
      fireEvent.click(screen.getByRole('button', { name: 'Save' }))
    })
    await act(() => env.advance(60_000))
    expect(server.record('items', id)).toMatchObject({ price: '2.00' })
    expect(await db.conflicts.list()).toMatchObject([{ parts: [{ mine: { price: '3.00' } }] }])
    cleanup()
    await act(async () => {
      render(
        <Root>
          <p>app</p>
        </Root>,
      )
    })
    expect(screen.getByText('Holdfast')).toBeDefined()
    await db.close()
  })
})
