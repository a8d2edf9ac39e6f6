import { act, render, screen } from '@testing-library/react'
import { Component, type ReactNode, StrictMode, Suspense, version } from 'react'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { type GivenApp, givenApp, hooks, type ShopClient, silence } from '../given-app.tsx'
import type { LiveQueryResult } from './use-live-query.ts'

const { useLiveQuery, useSuspenseLiveQuery, useRecord, useClient } = hooks

let app: GivenApp
let db: ShopClient
beforeEach(async () => {
  app = givenApp()
  db = await app.open()
})
afterEach(() => app.close())

type Named = { readonly id: string; readonly name: string }

/** Shows the names below a limit, and remembers every result. */
function Names({
  limit,
  seen,
}: {
  readonly limit: number
  readonly seen?: LiveQueryResult<Named>[]
}): ReactNode {
  const result = useLiveQuery((q) =>
    q.selectFrom('items').select(['id', 'name']).where('stock', '<', limit).orderBy('name'),
  )
  seen?.push(result)
  return <p>{`${result.status}: ${result.rows.map(({ name }) => name).join(', ')}`}</p>
}

const text = (): string | null | undefined => document.querySelector('p')?.textContent

test(`[RE-13] these tests run on React ${process.env['HOLDFAST_REACT'] ?? '19'}`, () => {
  expect(version.split('.')[0]).toBe(process.env['HOLDFAST_REACT'] ?? '19')
})

describe('a live query', () => {
  test('[RE-1] is pending first, then follows every write', async () => {
    await db.items.insert({ name: 'Rope' })
    const seen: LiveQueryResult<Named>[] = []
    await app.show(db, <Names limit={5} seen={seen} />)
    expect(seen[0]).toEqual({ status: 'pending', rows: [], error: null })
    expect(text()).toBe('ready: Rope')
    await act(() => db.items.insert({ name: 'Chain' }))
    await app.pass()
    expect(text()).toBe('ready: Chain, Rope')
  })

  test('[RE-1] depends on what is bound to it, with no list to forget', async () => {
    await db.items.insert({ name: 'Rope', stock: 3 })
    await db.items.insert({ name: 'Chain', stock: 7 })
    const { rerender } = await app.show(db, <Names limit={5} />)
    expect(text()).toBe('ready: Rope')
    rerender(app.element(db, <Names limit={9} />))
    expect(text()).toBe('pending: ')
    await app.pass()
    expect(text()).toBe('ready: Chain, Rope')
  })

  test('[RE-2] rows that did not change are the same objects, and so is the array while none did', async () => {
    const rope = await db.items.insert({ name: 'Rope' })
    await db.items.insert({ name: 'Saw' })
    const seen: LiveQueryResult<Named>[] = []
    const { rerender } = await app.show(db, <Names limit={5} seen={seen} />)
    const before = seen.at(-1)
    rerender(app.element(db, <Names limit={5} seen={seen} />))
    await act(() => db.items.update(rope, { note: 'not selected' }))
    await app.pass()
    expect(seen.at(-1)).toBe(before)
    await act(() => db.items.insert({ name: 'Axe' }))
    await app.pass()
    expect(seen.at(-1)?.rows.map(({ name }) => name)).toEqual(['Axe', 'Rope', 'Saw'])
    expect(seen.at(-1)?.rows[1]).toBe(before?.rows[0])
    expect(seen.at(-1)?.rows[2]).toBe(before?.rows[1])
  })

  test('[RE-3] is one watch for all who ask the same, and none once nobody has asked for a while', async () => {
    const watch = vi.spyOn(db, 'watch')
    const { unmount } = await app.show(
      db,
      <StrictMode>
        <Names limit={5} />
        <Names limit={5} />
      </StrictMode>,
    )
    expect(watch).toHaveBeenCalledTimes(1)
    const run = vi.spyOn(db, 'query')
    unmount()
    await app.pass(6_000)
    const again = await app.show(db, <Names limit={5} />)
    expect(watch).toHaveBeenCalledTimes(2)
    again.unmount()
    expect(run).not.toHaveBeenCalled()
  })

  test('[RE-3] stops its watch', async () => {
    const stop = vi.fn<() => void>()
    const watch = db.watch.bind(db)
    vi.spyOn(db, 'watch').mockImplementation((...args) => {
      const stopWatching = watch(...args)
      return () => {
        stop()
        stopWatching()
      }
    })
    const { unmount } = await app.show(db, <Names limit={5} />)
    unmount()
    await app.pass(4_000)
    expect(stop).not.toHaveBeenCalled()
    await app.pass(1_000)
    expect(stop).toHaveBeenCalledTimes(1)
    expect(app.env.timerCount).toBe(0)
  })

  test('[RE-1] null asks for nothing', async () => {
    const watch = vi.spyOn(db, 'watch')
    function Nothing(): ReactNode {
      return <p>{useLiveQuery(null).status}</p>
    }
    await app.show(db, <Nothing />)
    expect([text(), watch.mock.calls.length]).toEqual(['pending', 0])
  })

  test('[RE-1] keeps the rows of the query before, when it is asked to', async () => {
    await db.items.insert({ name: 'Rope', stock: 3 })
    await db.items.insert({ name: 'Chain', stock: 7 })
    function Search({ limit }: { readonly limit: number }): ReactNode {
      const { rows, status } = useLiveQuery(
        (q) => q.selectFrom('items').select('name').where('stock', '<', limit).orderBy('name'),
        { keepPrevious: true },
      )
      return <p>{`${status}: ${rows.map(({ name }) => name).join(', ')}`}</p>
    }
    const { rerender } = await app.show(db, <Search limit={5} />)
    rerender(app.element(db, <Search limit={9} />))
    expect(text()).toBe('pending: Rope')
    await app.pass()
    expect(text()).toBe('ready: Chain, Rope')
  })

  test('[RE-1] never shows what another client had, also where it is to keep the rows before', async () => {
    await db.items.insert({ name: 'of ann' })
    const other = await app.open({ user: 'bob' })
    const seen: string[] = []
    function List(): ReactNode {
      const { rows, status } = useLiveQuery((q) => q.selectFrom('items').select('name'), {
        keepPrevious: true,
      })
      seen.push(`${status}: ${rows.map(({ name }) => name).join(', ')}`)
      return <p>{seen.at(-1)}</p>
    }
    const { rerender } = await app.show(db, <List />)
    expect(text()).toBe('ready: of ann')
    seen.length = 0
    rerender(app.element(other, <List />))
    await app.pass()
    expect([...new Set(seen)]).toEqual(['pending: ', 'ready: '])
  })

  test('[RE-1] is another one for numbers that JSON does not have', async () => {
    await db.items.insert({ name: 'Rope', stock: 3 })
    const { rerender } = await app.show(db, <Names limit={Number.POSITIVE_INFINITY} />)
    expect(text()).toBe('ready: Rope')
    rerender(app.element(db, <Names limit={Number.NEGATIVE_INFINITY} />))
    await app.pass()
    expect(text()).toBe('ready: ')
  })

  test('[RE-8] that cannot be built or run is an error with its code, and keeps the rows it had', async () => {
    function Wrong({ column }: { readonly column: 'name' }): ReactNode {
      const { status, error } = useLiveQuery((q) => q.selectFrom('items').select(column))
      return <p>{`${status} ${error?.code}`}</p>
    }
    function Unbound(): ReactNode {
      // Not a value that SQLite can hold.
      const when = new Date(0) as unknown as string
      const { status, error } = useLiveQuery((q) =>
        q.selectFrom('items').selectAll().where('name', '=', when),
      )
      return <p>{`${status} ${error?.code}`}</p>
    }
    const { rerender } = await app.show(db, <Wrong column={'nmae' as 'name'} />)
    expect(text()).toBe('error STORE_FAILED')
    rerender(app.element(db, <Unbound />))
    await app.pass()
    expect(text()).toBe('error VALUE_INVALID')
  })
})

describe('a live query for Suspense', () => {
  function Names({ limit = 5 }: { readonly limit?: number }): ReactNode {
    const rows = useSuspenseLiveQuery((q) =>
      q.selectFrom('items').select('name').where('stock', '<', limit).orderBy('name'),
    )
    return <p>{rows.map(({ name }) => name).join(', ')}</p>
  }

  test('[RE-4] waits in the boundary, then follows every write', async () => {
    await db.items.insert({ name: 'Rope' })
    render(
      app.element(
        db,
        <Suspense fallback={<p>waiting</p>}>
          <Names />
        </Suspense>,
      ),
    )
    expect(text()).toBe('waiting')
    await app.pass()
    expect(text()).toBe('Rope')
    await act(() => db.items.insert({ name: 'Chain' }))
    await app.pass()
    expect(text()).toBe('Chain, Rope')
  })

  test('[RE-4] is waited for as long as it takes, and asked once', async () => {
    await db.items.insert({ name: 'Rope' })
    const watch = db.watch.bind(db)
    const begun = vi.spyOn(db, 'watch').mockImplementation((...args) => {
      let stop = (): void => undefined
      const cancel = app.env.setTimer(() => (stop = watch(...args)), 8_000)
      return () => {
        cancel()
        stop()
      }
    })
    const page = app.element(
      db,
      <Suspense fallback={<p>waiting</p>}>
        <Names />
      </Suspense>,
    )
    const { unmount } = render(page)
    await app.pass(7_000)
    expect(text()).toBe('waiting')
    await app.pass(1_000)
    expect(text()).toBe('Rope')
    expect(begun).toHaveBeenCalledTimes(1)
    unmount()
    await app.pass(5_000)
    expect(app.env.timerCount).toBe(0)
  })

  test('[RE-4] throws errors to the boundary, and asks anew when it is tried again', async () => {
    const unsilence = silence()
    let column = 'nmae'
    function Wrong(): ReactNode {
      const rows = useSuspenseLiveQuery((q) => q.selectFrom('items').select(column as 'name'))
      return <p>{rows.length}</p>
    }
    const page = (attempt: number): ReactNode =>
      app.element(
        db,
        <Boundary key={attempt}>
          <Suspense fallback={<p>waiting</p>}>
            <Wrong />
          </Suspense>
        </Boundary>,
      )
    const { rerender } = render(page(1))
    await app.pass()
    expect(text()).toBe('failed STORE_FAILED')
    const watch = vi.spyOn(db, 'watch')
    await app.pass(1_000)
    rerender(page(2))
    await app.pass()
    expect([text(), watch.mock.calls.length]).toEqual(['failed STORE_FAILED', 1])
    column = 'name'
    await app.pass(1_000)
    rerender(page(3))
    await app.pass()
    expect(text()).toBe('0')
    unsilence()
  })

  test('[RE-3] one that was never mounted stops by itself', async () => {
    const { unmount } = render(
      app.element(
        db,
        <Suspense fallback={<p>waiting</p>}>
          <Names />
        </Suspense>,
      ),
    )
    unmount()
    await app.pass(6_000)
    expect(app.env.timerCount).toBe(0)
  })
})

class Boundary extends Component<{ readonly children: ReactNode }, { readonly code?: string }> {
  override state: { readonly code?: string } = {}
  static getDerivedStateFromError(error: { readonly code: string }): { readonly code: string } {
    return { code: error.code }
  }
  override render(): ReactNode {
    const { code } = this.state
    return code === undefined ? this.props.children : <p>{`failed ${code}`}</p>
  }
}

describe('a record', () => {
  function Item({ id }: { readonly id: string | null }): ReactNode {
    const { record, status } = useRecord('items', id)
    return <p>{`${status} ${record?.name} ${record?.tags.join('+')} ${record?._state}`}</p>
  }

  test('[RE-1] follows its writes and its state, and is undefined when there is none', async () => {
    const id = await db.items.insert({ name: 'Rope', tags: ['b', 'a'] })
    await app.show(db, <Item id={id} />)
    expect(text()).toBe('ready Rope a+b pending')
    await app.sync(db)
    expect(text()).toBe('ready Rope a+b clean')
    await act(() => db.items.delete(id))
    await app.pass()
    expect(text()).toBe('ready undefined undefined undefined')
  })
})

describe('a provider', () => {
  test('[RE-12] on a server without a client renders what needs none, and is taken over where there is one', async () => {
    await db.items.insert({ name: 'Rope' })
    const html = renderToString(app.element(null, <Names limit={5} />))
    expect(html).toBe('<p>pending: </p>')
    const container = document.body.appendChild(document.createElement('div'))
    container.innerHTML = html
    const complain = vi.spyOn(console, 'error')
    await act(async () => {
      render(app.element(db, <Names limit={5} />), { container, hydrate: true })
      await app.env.settle()
    })
    await app.pass()
    expect(text()).toBe('ready: Rope')
    expect(complain).not.toHaveBeenCalled()
    complain.mockRestore()
  })

  test('[RE-12] on a server leaves what needs a client to the boundary above', () => {
    function Needs(): ReactNode {
      return <p>{useClient().identity().device}</p>
    }
    expect(() => renderToString(app.element(null, <Needs />))).toThrow(
      expect.objectContaining({ code: 'CLIENT_MISSING' }),
    )
    const html = renderToString(
      app.element(
        null,
        <Suspense fallback={<p>later</p>}>
          <Needs />
        </Suspense>,
      ),
    )
    expect(html).toContain('<p>later</p>')
  })

  test('[RE-12] takes the promise of a client, and waits where the client itself is wanted', async () => {
    function Device(): ReactNode {
      return <p>{useClient().identity().device === db.identity().device ? 'this device' : 'another'}</p>
    }
    const { promise, resolve } = Promise.withResolvers<ShopClient>()
    await app.show(
      promise,
      <Suspense fallback={<p>opening</p>}>
        <Device />
      </Suspense>,
    )
    expect(text()).toBe('opening')
    await act(async () => resolve(db))
    expect(text()).toBe('this device')
  })

  test('[RE-12] throws what keeps a client from opening to the boundary above', async () => {
    const unsilence = silence()
    const failing = Promise.reject(Object.assign(new Error('locked'), { code: 'STORE_LOCKED' }))
    await act(async () => {
      render(<Boundary>{app.element(failing as Promise<ShopClient>, <Names limit={5} />)}</Boundary>)
    })
    expect(text()).toBe('failed STORE_LOCKED')
    unsilence()
  })

  test('[RE-12] is missed with a code', () => {
    const unsilence = silence()
    expect(() => render(<Names limit={5} />)).toThrow(expect.objectContaining({ code: 'CLIENT_MISSING' }))
    unsilence()
  })

  test('[RE-12] given another client shows that one', async () => {
    await db.items.insert({ name: 'Rope' })
    const other = await app.open({ user: 'bob' })
    await other.items.insert({ name: 'Chain' })
    const { rerender } = await app.show(db, <Names limit={5} />)
    rerender(app.element(other, <Names limit={5} />))
    await app.pass()
    expect(screen.getByText('ready: Chain')).toBeDefined()
  })
})

test('[RE-1] rows, records and clients are typed from the schema', async () => {
  const rows: { readonly name: string; readonly price: string | null; readonly tags: readonly string[] }[] =
    []
  function Typed(): ReactNode {
    const { rows: found } = useLiveQuery((q) => q.selectFrom('items').select(['name', 'price', 'tags']))
    rows.push(...found)
    // @ts-expect-error There is no such column.
    const wrong = useLiveQuery((q) => q.selectFrom('items').select('colour'))
    // @ts-expect-error There is no such collection.
    const { record: none } = useRecord('nothing', null)
    const { record } = useRecord('items', null)
    const name: string | undefined = record?.name
    // @ts-expect-error A stock is a number.
    const stock: string | undefined = record?.stock
    return <p>{`${wrong.status} ${none === undefined} ${name} ${stock}`}</p>
  }
  await db.items.insert({ name: 'Rope', tags: ['a'] })
  await app.show(db, <Typed />)
  expect(rows[0]).toEqual({ name: 'Rope', price: null, tags: ['a'] })
  expect(text()).toBe('error true undefined undefined')
  const other = { notA: 'client' }
  // @ts-expect-error That is no client of the schema.
  expect(<hooks.HoldfastProvider client={other} />).toBeDefined()
})
