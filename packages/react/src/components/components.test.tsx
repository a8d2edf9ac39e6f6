import type { SyncStatus } from '@holdfast/client'
import { act, screen, within } from '@testing-library/react'
import { userEvent } from '@testing-library/user-event'
import axe from 'axe-core'
import { StrictMode } from 'react'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { type GivenApp, givenApp, type ShopClient } from '../given-app.tsx'
import { ConflictScreen } from './conflict-screen.tsx'
import { DeadLetterList } from './dead-letter-list.tsx'
import { RecordBadge } from './record-badge.tsx'
import { StatusBar } from './status-bar.tsx'

let app: GivenApp
let ann: ShopClient
let bob: ShopClient
beforeEach(async () => {
  app = givenApp()
  ann = await app.open()
  bob = await app.open({ user: 'bob' })
})
afterEach(() => app.close())

/** What assistive technology would trip over. Contrast is measured where there are pixels. */
async function violations(): Promise<readonly string[]> {
  const { violations: found } = await axe.run(document.body, {
    rules: { 'color-contrast': { enabled: false }, region: { enabled: false } },
  })
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
}

/** Presses a button and lets everything finish that follows. */
async function press(name: string | RegExp): Promise<void> {
  await act(async () => {
    await userEvent.click(screen.getByRole('button', { name }))
  })
  await app.pass()
}

/** Types other text over what stands in a field. */
async function retype(label: string, text: string): Promise<void> {
  const field = screen.getByLabelText(label)
  await act(async () => {
    await userEvent.clear(field)
    await userEvent.type(field, text)
  })
}

/** Ann and bob changed the price of one item, bob first. */
async function givenConflict(name = 'Rope'): Promise<string> {
  const id = await ann.items.insert({ name, price: '1.00', stock: 5 })
  await app.sync(ann)
  await app.sync(bob)
  await bob.items.update(id, { price: '2.00' })
  await app.sync(bob)
  await ann.items.update(id, { price: '3.00', note: 'mine' })
  await app.sync(ann)
  return id
}

/** An item whose price the server refused. */
async function givenDeadLetter(): Promise<string> {
  const id = await ann.items.insert({ name: 'Rope', price: '1.00' })
  await app.sync(ann)
  app.server.injectRefusals(1, 'CONSTRAINT_FAILED', 'a price is above zero')
  await ann.items.update(id, { price: '-1.00', note: 'cheap' })
  await app.sync(ann)
  return id
}

describe('the conflict screen', () => {
  test('[RE-9] shows both sides, what differs and why, and keeps mine by a click, once', async () => {
    const id = await givenConflict()
    await app.show(
      ann,
      <StrictMode>
        <ConflictScreen />
      </StrictMode>,
    )
    expect(screen.getByRole('heading', { name: 'Rope' })).toBeDefined()
    const row = screen.getByRole('row', { name: /^Price/ })
    expect(row.textContent).toContain('Price (differs)')
    expect(
      within(row)
        .getAllByRole('cell')
        .map((cell) => cell.textContent),
    ).toEqual(['3.00', '2.00'])
    expect(row.textContent).toContain('If both sides changed it, a person decides.')
    expect(row.textContent).toContain('Before: 1.00')
    expect(await violations()).toEqual([])
    const settle = vi.spyOn(ann.conflicts, 'keepMine')
    await press('Keep mine')
    expect(
      screen.getByText('Decided. It is sent with the next sync.', { selector: '.holdfast-decided' }),
    ).toBeDefined()
    expect(screen.queryByRole('button', { name: 'Keep mine' })).toBeNull()
    await app.sync(ann)
    expect(screen.getByText('No conflicts')).toBeDefined()
    expect(app.server.record('items', id)).toMatchObject({ price: '3.00', note: 'mine' })
    expect(settle).toHaveBeenCalledTimes(1)
    expect(await violations()).toEqual([])
  })

  test('[RE-9] keeps theirs', async () => {
    const id = await givenConflict()
    await app.show(ann, <ConflictScreen />)
    await press('Keep theirs')
    await app.sync(ann)
    expect(app.server.record('items', id)).toMatchObject({ price: '2.00' })
    expect(await ann.items.get(id)).toMatchObject({ price: '2.00', _state: 'clean' })
  })

  test('[RE-9] keeps what was edited, starting from mine, with either side a click away', async () => {
    const id = await givenConflict()
    await app.show(ann, <ConflictScreen />)
    await press('Edit…')
    const price = screen.getByLabelText<HTMLInputElement>('Price')
    expect([price.value, document.activeElement]).toEqual(['3.00', price])
    expect(await violations()).toEqual([])
    await press('Theirs (Price)')
    expect(price.value).toBe('2.00')
    await act(async () => {
      await userEvent.clear(price)
      await userEvent.type(price, '2.50')
    })
    await press('Save')
    await app.sync(ann)
    expect(app.server.record('items', id)).toMatchObject({ price: '2.50', note: 'mine' })
  })

  test('[RE-9] what nobody typed into stays as it is to the letter', async () => {
    const id = await ann.items.insert({ name: 'Rope', price: '1.00', note: '', tags: [' loose '] })
    await app.sync(ann)
    await app.sync(bob)
    await bob.items.delete(id)
    await app.sync(bob)
    await ann.items.update(id, { price: '3.00', note: '', tags: [' loose ', 'b'] })
    await app.sync(ann)
    await app.show(ann, <ConflictScreen />)
    await press('Edit…')
    await retype('Price', '2.50')
    // Members that are no lines of their own are not edited as lines.
    expect(screen.getByLabelText<HTMLInputElement>('Tags').value).toBe('[\n  " loose ",\n  "b"\n]')
    await press('Save')
    await app.sync(ann)
    expect(app.server.record('items', id)).toMatchObject({ price: '2.50', note: '', tags: [' loose ', 'b'] })
  })

  test('[RE-9] starts from mine also where that is nothing', async () => {
    const id = await ann.items.insert({ name: 'Rope', price: '1.00' })
    await app.sync(ann)
    await app.sync(bob)
    await bob.items.update(id, { price: '2.00' })
    await app.sync(bob)
    await ann.items.update(id, { price: null })
    await app.sync(ann)
    await app.show(ann, <ConflictScreen />)
    await press('Edit…')
    expect(screen.getByLabelText<HTMLInputElement>('Price').value).toBe('')
  })

  test('[RE-9] a value the field refuses is said in the form, and nothing is decided', async () => {
    await givenConflict()
    await app.show(ann, <ConflictScreen />)
    await press('Edit…')
    const price = screen.getByLabelText<HTMLInputElement>('Price')
    await act(async () => {
      await userEvent.clear(price)
      await userEvent.type(price, 'cheap')
    })
    await press('Save')
    expect(screen.getByRole('alert').textContent).toContain('VALUE_INVALID')
    expect(screen.getByLabelText('Price')).toBe(price)
    await act(() => userEvent.keyboard('{Escape}'))
    expect(document.activeElement).toBe(screen.getByRole('button', { name: 'Edit…' }))
    expect(await ann.conflicts.list()).toHaveLength(1)
  })

  test('[RE-9] keeps both as records of their own', async () => {
    const id = await givenConflict()
    await app.show(ann, <ConflictScreen />)
    await press('Keep both')
    await app.sync(ann)
    const rows = await ann.query((q) => q.selectFrom('items').select(['id', 'price']).orderBy('price'))
    expect(rows.map(({ price }) => price)).toEqual(['2.00', '3.00'])
    expect(rows[0]?.id).toBe(id)
  })

  test('[RE-9] shows a deletion against a change, and brings the record back', async () => {
    const id = await ann.items.insert({ name: 'Rope', price: '1.00' })
    await app.sync(ann)
    await app.sync(bob)
    await bob.items.delete(id)
    await app.sync(bob)
    await ann.items.update(id, { price: '3.00' })
    await app.sync(ann)
    await app.show(ann, <ConflictScreen />)
    expect(screen.getAllByText('Deleted there').length).toBeGreaterThan(0)
    expect(screen.queryByRole('button', { name: 'Keep both' })).toBeNull()
    expect(await violations()).toEqual([])
    await press('Keep mine')
    await app.sync(ann)
    expect(app.server.record('items', id)).toMatchObject({ price: '3.00' })
  })

  test('[RE-9] calls the sides by whose they are for somebody who is neither author nor server', async () => {
    await givenConflict()
    await app.sync(bob)
    await app.show(bob, <ConflictScreen />, { person: (account) => account.toUpperCase() })
    expect(screen.getByRole('columnheader', { name: 'From ANN' })).toBeDefined()
    expect(screen.getByRole('button', { name: 'Keep ANN’s' })).toBeDefined()
    expect(screen.getByRole('button', { name: 'Keep the server’s' })).toBeDefined()
  })

  test('[RE-9] goes through several, the focus on the next, and comes to an end', async () => {
    await givenConflict('Rope')
    await app.pass(1_000)
    await givenConflict('Chain')
    await app.show(ann, <ConflictScreen />)
    const list = screen.getByRole('navigation', { name: 'Conflicts' })
    expect(
      within(list)
        .getAllByRole('button')
        .map((button) => button.textContent),
    ).toEqual([expect.stringContaining('Rope'), expect.stringContaining('Chain')])
    expect(await violations()).toEqual([])
    await press('Keep mine')
    expect(document.activeElement?.textContent).toBe('Chain')
    expect(screen.getByText('1 decision to make')).toBeDefined()
    await app.pass(1_000)
    await press('Keep theirs')
    expect(screen.getByText('0 decisions to make')).toBeDefined()
    await app.sync(ann)
    expect(screen.getByText('No conflicts')).toBeDefined()
  })

  test('[RE-9] a double click decides one conflict, not the one that comes in its place', async () => {
    await givenConflict('Rope')
    await app.pass(1_000)
    await givenConflict('Chain')
    await app.show(ann, <ConflictScreen />)
    await press('Keep mine')
    await press('Keep mine')
    expect(await ann.outbox.list({ isDecision: true })).toHaveLength(1)
    await app.pass(1_000)
    await press('Keep mine')
    expect(await ann.outbox.list({ isDecision: true })).toHaveLength(2)
  })

  test('[RE-9] a conflict that is settled elsewhere stays with what was typed until somebody goes on', async () => {
    await givenConflict('Rope')
    await app.pass(1_000)
    await givenConflict('Chain')
    await app.sync(bob)
    await app.show(ann, <ConflictScreen />)
    await press('Edit…')
    await retype('Price', '2.50')
    const [first] = await bob.conflicts.list()
    await bob.conflicts.keepTheirs(first?.id ?? '')
    await app.sync(bob)
    await app.sync(ann)
    expect(screen.getByRole('heading', { level: 3, name: 'Rope' })).toBeDefined()
    expect(screen.getByText(/No longer open/)).toBeDefined()
    expect(screen.getByLabelText<HTMLInputElement>('Price').value).toBe('2.50')
    expect(await violations()).toEqual([])
    await press('Save')
    expect(screen.getByRole('alert').textContent).toContain('CONFLICT_CLOSED')
    expect(screen.getByLabelText<HTMLInputElement>('Price').value).toBe('2.50')
    await press('Go on')
    expect(document.activeElement?.textContent).toBe('Chain')
    expect(screen.queryByText(/No longer open/)).toBeNull()
    await bob.conflicts.keepTheirs((await bob.conflicts.list())[0]?.id ?? '')
    await app.sync(bob)
    await app.sync(ann)
    await press('Go on')
    expect(screen.getByText('No conflicts')).toBeDefined()
  })

  test('[RE-9] an older conflict that comes later takes nobody’s place', async () => {
    const [rope, chain] = [
      await ann.items.insert({ name: 'Rope', price: '1.00' }),
      await ann.items.insert({ name: 'Chain', price: '1.00' }),
    ]
    await app.sync(ann)
    await app.sync(bob)
    await bob.items.update(rope, { price: '2.00' })
    await bob.items.update(chain, { price: '2.00' })
    await app.sync(bob)
    await ann.items.update(chain, { price: '3.00' })
    await app.sync(ann)
    await app.pass(1_000)
    await bob.items.update(rope, { price: '4.00' })
    app.server.write('items', rope, { price: '5.00' })
    app.server.script({ on: 'pull', times: 1, fault: { kind: 'cut', when: 'before' } })
    await app.sync(bob)
    await app.show(bob, <ConflictScreen />)
    await press('Edit…')
    await retype('Price', '4.50')
    await app.sync(bob)
    expect(await bob.conflicts.list()).toMatchObject([{ record: chain }, { record: rope }])
    expect(screen.getByRole('heading', { level: 3, name: 'Rope' })).toBeDefined()
    expect(screen.getByLabelText<HTMLInputElement>('Price').value).toBe('4.50')
  })

  test('[RE-9] says when somebody else was faster', async () => {
    await givenConflict()
    await app.show(ann, <ConflictScreen />)
    const [conflict] = await ann.conflicts.list()
    vi.spyOn(ann.conflicts, 'keepMine').mockImplementation(async () => {
      const { SyncError } = await import('@holdfast/core')
      throw new SyncError('CONFLICT_CLOSED', 'the conflict was settled already')
    })
    await press('Keep mine')
    expect(screen.getByRole('alert').textContent).toContain('The conflict was settled already.')
    expect(conflict).toBeDefined()
  })
})

describe('the dead-letter list', () => {
  test('[RE-10] says what was refused and why, and retries by a click', async () => {
    const id = await givenDeadLetter()
    await app.show(
      ann,
      <StrictMode>
        <DeadLetterList />
      </StrictMode>,
    )
    expect(screen.getByRole('heading', { name: 'Rope' })).toBeDefined()
    expect(screen.getByText('a price is above zero')).toBeDefined()
    expect(screen.getByText('CONSTRAINT_FAILED')).toBeDefined()
    expect(screen.getByText('-1.00')).toBeDefined()
    expect(await violations()).toEqual([])
    await press('Retry')
    expect(screen.getByText('Nothing was refused')).toBeDefined()
    expect(document.activeElement).toBe(screen.getByRole('heading', { name: 'Refused changes' }))
    await app.sync(ann)
    expect(app.server.record('items', id)).toMatchObject({ price: '-1.00', note: 'cheap' })
  })

  test('[RE-10] edits and retries, sending only what was edited otherwise', async () => {
    const id = await givenDeadLetter()
    await app.show(ann, <DeadLetterList />)
    const edit = vi.spyOn(ann.deadLetters, 'editAndRetry')
    await press('Edit and retry…')
    const price = screen.getByLabelText<HTMLInputElement>('Price')
    await app.pass()
    expect(document.activeElement).toBe(price)
    await act(async () => {
      await userEvent.clear(price)
      await userEvent.type(price, '1.50')
    })
    await press('Save and retry')
    expect(edit.mock.calls).toEqual([
      [expect.any(String), { price: '1.50' }, { price: '-1.00', note: 'cheap' }],
    ])
    await app.sync(ann)
    expect(app.server.record('items', id)).toMatchObject({ price: '1.50', note: 'cheap' })
  })

  test('[RE-10] sends nothing of what others did to a field that nobody typed into', async () => {
    const id = await ann.items.insert({ name: 'Rope', price: '1.00', stock: 10 })
    await app.sync(ann)
    await app.sync(bob)
    app.server.injectRefusals(1, 'CONSTRAINT_FAILED')
    await ann.items.update(id, { price: '-1.00', stock: 11 })
    await app.sync(ann)
    await app.show(ann, <DeadLetterList />)
    await press('Edit and retry…')
    await bob.items.increment(id, { stock: -5 })
    await app.sync(bob)
    await app.sync(ann)
    await retype('Price', '1.50')
    await press('Save and retry')
    await app.sync(ann)
    expect(app.server.record('items', id)).toMatchObject({ price: '1.50', stock: 6 })
  })

  test('[RE-10] leaves a set as it was meant where its record is gone meanwhile', async () => {
    const id = await ann.items.insert({ name: 'Rope', price: '1.00' })
    await app.sync(ann)
    app.server.injectRefusals(1, 'CONSTRAINT_FAILED')
    await ann.items.update(id, { price: '-1.00', tags: ['new'] })
    await app.sync(ann)
    await ann.items.delete(id)
    const edit = vi.spyOn(ann.deadLetters, 'editAndRetry')
    await app.show(ann, <DeadLetterList />)
    await press('Edit and retry…')
    await retype('Price', '1.50')
    await press('Save and retry')
    expect(edit.mock.calls[0]?.[1]).toEqual({ price: '1.50' })
  })

  test('[RE-10] discards after asking, with the way back focused', async () => {
    const id = await givenDeadLetter()
    await app.show(ann, <DeadLetterList />)
    await press('Discard…')
    expect(document.activeElement).toBe(screen.getByRole('button', { name: 'Cancel' }))
    expect(await violations()).toEqual([])
    await press('Cancel')
    expect(document.activeElement).toBe(screen.getByRole('button', { name: 'Discard…' }))
    expect(await ann.deadLetters.list()).toHaveLength(1)
    await press('Discard…')
    await press('Discard')
    expect(await ann.deadLetters.list()).toEqual([])
    expect(await ann.items.get(id)).toMatchObject({ price: '1.00', note: null })
  })

  test('[RE-10] a double click tries one letter again, not the one that comes in its place', async () => {
    await givenDeadLetter()
    await givenDeadLetter()
    await app.show(ann, <DeadLetterList />)
    const retry = (): HTMLElement => screen.getAllByRole('button', { name: 'Retry' })[0] as HTMLElement
    await act(async () => userEvent.click(retry()))
    await app.pass()
    await act(async () => userEvent.click(retry()))
    await app.pass()
    expect(await ann.deadLetters.list()).toHaveLength(1)
    await app.pass(1_000)
    await act(async () => userEvent.click(retry()))
    expect(await ann.deadLetters.list()).toHaveLength(0)
  })

  test('[RE-10] exports every byte', async () => {
    const id = await givenDeadLetter()
    const files: string[] = []
    await app.show(ann, <DeadLetterList onExport={(json) => files.push(json)} />)
    await press('Export')
    expect(JSON.parse(files[0] ?? '')).toMatchObject([{ record: id, status: 'dead' }])
  })
})

describe('the status bar', () => {
  test('[RE-7] says what waits, how old it is, and when the device last synced', async () => {
    await app.show(ann, <StatusBar />)
    expect(screen.getByRole('status').textContent).toBe('All changes saved')
    expect(screen.getByText('Not synced yet')).toBeDefined()
    await act(() => ann.items.insert({ name: 'Rope' }))
    await app.pass(180_000)
    expect(screen.getByRole('status').textContent).toBe('1 change to send')
    expect(screen.getByText('oldest 3 mins')).toBeDefined()
    expect(await violations()).toEqual([])
    await act(async () => {
      await userEvent.click(screen.getByRole('button', { name: 'Sync now' }))
    })
    await app.pass(10_000)
    expect(screen.getByRole('status').textContent).toBe('All changes saved')
    expect(screen.getByText('Last sync just now')).toBeDefined()
    await app.pass(600_000)
    expect(screen.getByText('Last sync 10 min ago')).toBeDefined()
  })

  test('[RE-7] a file that the server does not have is not saved as far as anybody is told', async () => {
    const item = await ann.items.insert({ name: 'Rope' })
    await app.show(ann, <StatusBar />)
    await act(async () => {
      await ann.items.update(item, { photo: await ann.attachments.add(Uint8Array.of(1, 2, 3)) })
    })
    await app.pass()
    expect(screen.getByRole('status').textContent).toBe('2 changes to send')
    expect(screen.getByText('1 file to send')).toBeDefined()
    app.server.script({ on: 'upload', fault: { kind: 'answer', status: 500 } })
    await app.sync(ann)
    expect(screen.getByRole('status').textContent).toBe('1 file to send')
    app.server.heal()
    await act(() => ann.attachments.retry())
    await app.sync(ann)
    await app.pass(1_000)
    expect(screen.getByRole('status').textContent).toBe('All changes saved')
  })

  test('[RE-7] says that the device is offline, keeps counting, and retries at once', async () => {
    const db = await app.open({ auto: true })
    await app.pass(1_000)
    app.server.script({ fault: { kind: 'cut', when: 'before' } })
    await db.items.insert({ name: 'Rope' })
    await app.show(db, <StatusBar />)
    await app.pass(2_000)
    expect(screen.getByRole('status').textContent).toBe('Offline. Your work is kept on this device')
    expect(screen.getByText('1 change to send')).toBeDefined()
    app.server.heal()
    await press('Retry now')
    expect(screen.getByRole('status').textContent).toBe('All changes saved')
  })

  test('[RE-7] what waits for a review is not saved as far as anybody is told, and what was lost is not forgotten', async () => {
    const status = await ann.status.get()
    const noticedAt = '2026-11-19T10:00:00.000Z'
    const told = {
      ...status,
      escrowCount: 2,
      storage: { isPersistent: false, loss: { store: 'one', unsentCount: 3, noticedAt } },
    }
    const client: ShopClient = Object.assign(Object.create(ann) as ShopClient, {
      status: {
        ...ann.status,
        subscribe: (listener: (status: SyncStatus) => void) => {
          listener(told)
          return () => undefined
        },
      },
    })
    await app.show(client, <StatusBar />)
    expect(screen.getByRole('status').textContent).toBe('2 changes wait for a review')
    expect(screen.getByText(/^3 unsent changes were removed by the browser before 19 Nov 2026/)).toBeDefined()
  })

  test('[RE-7] shows the way to what needs a person', async () => {
    await givenConflict()
    const onShowConflicts = vi.fn<() => void>()
    await app.show(ann, <StatusBar onShowConflicts={onShowConflicts} />)
    expect(screen.getByRole('status').textContent).toBe('1 change needs a decision')
    await press('1 conflict')
    expect(onShowConflicts).toHaveBeenCalledTimes(1)
    expect(await violations()).toEqual([])
  })

  test('[RE-7] goes on after a pause', async () => {
    const db = await app.open({ auto: true })
    await app.show(db, <StatusBar />)
    await act(async () => db.sync.pause())
    await app.pass()
    expect(screen.getByRole('status').textContent).toBe('Sync is paused')
    await press('Resume')
    expect(screen.getByRole('status').textContent).toBe('All changes saved')
  })
})

describe('texts and looks', () => {
  test('[RE-11] every text can be replaced, those in between as well', async () => {
    await app.show(ann, <StatusBar className="mine" classNames={{ button: 'knopf' }} />, {
      status: { saved: 'Alles gesichert', syncNow: 'Jetzt abgleichen' },
    })
    expect(screen.getByText('Alles gesichert')).toBeDefined()
    expect(screen.getByRole('button', { name: 'Jetzt abgleichen' }).className).toContain('knopf')
    expect(screen.getByText('Not synced yet')).toBeDefined()
    expect(document.querySelector('section.mine')).not.toBeNull()
  })

  test('[RE-7] a badge says its state in a word, and reads it out when it is only a drawing', async () => {
    await app.show(
      ann,
      <>
        {(['clean', 'pending', 'syncing', 'conflicted', 'failed'] as const).map((state) => (
          <RecordBadge key={state} state={state} />
        ))}
        <RecordBadge state="pending" isForetold />
        <RecordBadge state="failed" isCompact />
      </>,
    )
    const badges = [...document.querySelectorAll('.holdfast-badge')]
    expect(badges.map((badge) => badge.textContent)).toEqual([
      'Saved',
      'To send',
      'Sending',
      'Conflict',
      'Refused',
      'May conflict',
      'Refused',
    ])
    expect(
      new Set(badges.slice(0, 5).map((badge) => badge.querySelector('path')?.getAttribute('d'))).size,
    ).toBe(5)
    expect(await violations()).toEqual([])
  })
})
