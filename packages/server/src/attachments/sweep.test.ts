import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { limits } from '@holdfast/core'
import { afterEach, expect, test } from 'vitest'

import type { AttachmentKey, Engine } from '../engine.ts'
import { GivenDevice } from '../given-engine.ts'
import type { AttachmentStore } from './attachment-store.ts'
import { fileAttachments } from './file-attachments.ts'
import { type GivenAttachments, givenAttachments } from './given-attachments.ts'
import { type GivenFile, givenFile, reports, valueOf } from './given-photos.ts'
import { sweepAttachments } from './sweep-attachments.ts'

const dayMs = 86_400_000
const file = givenFile(10_000)

let given: GivenAttachments

afterEach(() => given.close())

/** A report whose photo is stored. */
async function givenPhoto(of: GivenFile = file): Promise<string> {
  const record = await given.report({ photo: valueOf(of) })
  await given.patch(record, of, { from: 0 })
  return record
}

function givenKey(record: string): AttachmentKey {
  return { collection: reports, record, hash: file.hash }
}

interface SweepOptions {
  /** The day from which ages count; null: nothing is removed. */
  readonly erasedBy?: number | null
  readonly engine?: Pick<Engine, 'attachmentsNamed'>
  readonly store?: AttachmentStore
  readonly attachmentsAsked?: number
}

/** A sweep so many days after the start. */
function sweep(
  day: number,
  {
    erasedBy = day,
    engine = given.sync.engine,
    store = fileAttachments(given.folder),
    attachmentsAsked = 2,
  }: SweepOptions = {},
): Promise<{ readonly removed: number; readonly uploads: number }> {
  const ofDay = (at: number): number => Date.parse('2026-11-20T10:00:00.000Z') + at * dayMs
  return sweepAttachments({
    engine,
    attachments: { store, maxBytes: 1, keepDays: 30 },
    nowMs: ofDay(day),
    erasedByMs: erasedBy === null ? null : ofDay(erasedBy),
    limits: { ...limits, attachmentsAsked },
    isClosed: () => false,
  })
}

const stored = (): readonly string[] =>
  readdirSync(join(given.folder, 'stored', 'site-reports')).filter((name) => !name.includes('.un'))

async function isReadable(record: string, of: GivenFile = file): Promise<boolean> {
  return (
    (await fileAttachments(given.folder).size({ collection: reports, record, hash: of.hash })) === of.size
  )
}

test('[AT-13] what nothing names any more is marked, and removed once the mark is old', async () => {
  given = await givenAttachments()
  const [kept, left, gone] = [await givenPhoto(), await givenPhoto(), await givenPhoto()]
  await given.set(left, { photo: null })
  await given.ask(`DELETE /records/${reports}/${gone}`)
  expect(await sweep(1)).toMatchObject({ removed: 0 })
  expect(await sweep(30.9)).toMatchObject({ removed: 0 })
  expect(stored()).toHaveLength(3)
  expect(await sweep(31)).toMatchObject({ removed: 2 })
  expect(stored()).toEqual([`${kept}.${file.hash}`])
  expect(readdirSync(join(given.folder, 'stored', 'site-reports'))).toHaveLength(1)
})

test('[AT-13] [OP-42] a clock that is wrong for a moment removes nothing, and what it marked counts from now on', async () => {
  given = await givenAttachments()
  const [before, beside] = [await givenPhoto(), await givenPhoto()]
  await given.set(before, { photo: null })
  await sweep(1)
  await given.set(beside, { photo: null })
  // Ahead by a year, of which a round believes a day.
  expect(await sweep(366, { erasedBy: 2 })).toMatchObject({ removed: 0 })
  expect(await sweep(366, { erasedBy: null })).toMatchObject({ removed: 0, uploads: 0 })
  await sweep(3)
  expect(await sweep(31)).toMatchObject({ removed: 1 })
  expect(await isReadable(beside)).toBe(true)
  expect(await sweep(33)).toMatchObject({ removed: 1 })
})

test('[AT-13] a mark goes when the record names it again, so that its days begin anew', async () => {
  given = await givenAttachments()
  const record = await givenPhoto()
  await given.set(record, { photo: null })
  await sweep(1)
  await given.set(record, { plan: valueOf(file) })
  await sweep(20)
  await given.set(record, { plan: null })
  await sweep(25)
  expect(await sweep(54)).toMatchObject({ removed: 0 })
  expect(await isReadable(record)).toBe(true)
  expect(await sweep(55)).toMatchObject({ removed: 1 })
  // And what comes after that is new.
  await given.set(record, { photo: valueOf(file) })
  await given.patch(record, file, { from: 0 })
  await given.set(record, { photo: null })
  expect(await sweep(56)).toMatchObject({ removed: 0 })
  expect(await isReadable(record)).toBe(true)
})

test('[AT-13] a mark that a crash left behind is none of what comes later', async () => {
  given = await givenAttachments()
  const record = await given.report({ photo: valueOf(file) })
  await fileAttachments(given.folder).finish({ ...givenKey(record), user: 'x' }, file.size)
  await fileAttachments(given.folder).mark(givenKey(record), '2020-01-01T00:00:00.000Z')
  await given.patch(record, file, { from: 0 })
  await given.set(record, { photo: null })
  expect(await sweep(1)).toMatchObject({ removed: 0 })
  expect(await isReadable(record)).toBe(true)
})

test('[AT-13] what an open conflict names is kept, whoever may see it', async () => {
  given = await givenAttachments()
  const record = await given.report({ site: '7' })
  const { engine } = given.sync
  const ann = new GivenDevice({ engine, user: 'ann', grants: ['site:7'], now: () => Date.now(), version: 1 })
  const row = JSON.parse((await engine.record(ann.caller, reports, record)) ?? '{}') as { version: number }
  await given.set(record, { photo: valueOf(givenFile(10, 4)) })
  const edit = ann.update(
    { collection: reports, record },
    { photo: valueOf(file) },
    { base: { photo: null }, baseVersion: row.version },
  )
  const result = await ann.pushOne(edit)
  expect(result.status).toBe('conflict')
  given.grants.set('ann', ['site:7'])
  expect((await given.patch(record, file, { from: 0 })).status).toBe(204)
  await sweep(1)
  expect(await sweep(99)).toMatchObject({ removed: 0 })
  await engine.resolve(ann.caller, result.conflict?.id ?? '', { kind: 'theirs' })
  await sweep(100)
  expect(await sweep(130)).toMatchObject({ removed: 1 })
})

test('[AT-14] what is named again and told to be there while a sweep removes it is brought back', async () => {
  given = await givenAttachments()
  const record = await givenPhoto()
  await given.set(record, { photo: null })
  await sweep(1)
  let asked = 0
  const engine: Pick<Engine, 'attachmentsNamed'> = {
    attachmentsNamed: async (keys) => {
      const named = await given.sync.engine.attachmentsNamed(keys)
      // Right behind the first question somebody puts it back and asks whether the bytes have to be sent.
      if (++asked === 1) {
        await given.set(record, { photo: valueOf(file) })
        expect((await given.create(record, file)).headers.get('upload-offset')).toBe(String(file.size))
      }
      return named
    },
  }
  expect(await sweep(40, { engine })).toMatchObject({ removed: 0 })
  expect(asked).toBe(2)
  expect(await isReadable(record)).toBe(true)
  expect(
    (await given.ask(`GET /attachments/${reports}/${record}/${file.hash}`)).bytes.equals(file.bytes),
  ).toBe(true)
})

test('[AT-14] what is being removed is not there for anybody, and an upload in between stays', async () => {
  given = await givenAttachments()
  const record = await givenPhoto()
  await given.set(record, { photo: null })
  await sweep(1)
  const { engine } = given.sync
  let asked = 0
  const meanwhile: Pick<Engine, 'attachmentsNamed'> = {
    attachmentsNamed: async (keys) => {
      const named = await engine.attachmentsNamed(keys)
      if (++asked === 2) {
        // The bytes are out of sight, and nothing names them: they will go. Whoever names them now sends them again.
        await given.set(record, { photo: valueOf(file) })
        expect((await given.create(record, file)).headers.get('upload-offset')).toBe('0')
        expect((await given.patch(record, file, { from: 0 })).status).toBe(204)
      }
      return named
    },
  }
  expect(await sweep(40, { engine: meanwhile })).toMatchObject({ removed: 1 })
  expect(await isReadable(record)).toBe(true)
  await sweep(41)
  expect(await sweep(99)).toMatchObject({ removed: 0 })
  expect(await isReadable(record)).toBe(true)
})

test('[AT-14] a node that dies while it removes leaves that to the next sweep', async () => {
  given = await givenAttachments()
  const [named, unnamed] = [await givenPhoto(), await givenPhoto()]
  const store = fileAttachments(given.folder)
  for (const record of [named, unnamed]) {
    const key = givenKey(record)
    await store.mark(key, '2026-11-20T10:00:00.000Z')
    await store.remove(key, () => Promise.reject(new Error('killed'))).catch(() => undefined)
    expect(await isReadable(record)).toBe(false)
  }
  await given.set(unnamed, { photo: null })
  expect(await sweep(40)).toMatchObject({ removed: 1 })
  expect(await isReadable(named)).toBe(true)
  expect(stored()).toEqual([`${named}.${file.hash}`])
})

test('[AT-14] a sweep that stood still removes nothing that came meanwhile, also while another one has it out of sight', async () => {
  given = await givenAttachments()
  const record = await givenPhoto()
  await given.set(record, { photo: null })
  const key = givenKey(record)
  const store = fileAttachments(given.folder)
  const isNamed = async (): Promise<boolean> =>
    (await given.sync.engine.attachmentsNamed([key])).every((each) => each)
  const [outOfSight, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let other: Promise<boolean> | undefined
  let asked = 0
  const isGone = await store.remove(key, async () => {
    if (++asked > 1) return isNamed()
    // It stands still behind this answer, and somebody names the bytes and sends them again.
    await given.set(record, { photo: valueOf(file) })
    expect((await given.patch(record, file, { from: 0 })).status).toBe(204)
    other = store.remove(key, async () => {
      outOfSight.resolve()
      await over.promise
      return isNamed()
    })
    await outOfSight.promise
    return false
  })
  over.resolve()
  expect([isGone, await other]).toEqual([false, false])
  expect(await isReadable(record)).toBe(true)
})

test('[AT-14] a sweep that fails before its last question leaves what it took out of sight to the next one', async () => {
  given = await givenAttachments()
  const record = await givenPhoto()
  const key = givenKey(record)
  const store = fileAttachments(given.folder)
  await store.mark(key, '2026-11-20T10:00:00.000Z')
  let asked = 0
  const failing = store.remove(key, async () => {
    if (++asked > 1) throw new Error('no database')
    return false
  })
  await expect(failing).rejects.toThrow('no database')
  await sweep(40)
  expect(await isReadable(record)).toBe(true)
})

test('[AT-14] two sweeps at once do what one does', async () => {
  given = await givenAttachments()
  const records: string[] = []
  for (let n = 0; n < 8; n++) records.push(await givenPhoto())
  for (const record of records.slice(0, 4)) await given.set(record, { photo: null })
  await Promise.all([sweep(1), sweep(1), sweep(1)])
  await Promise.all([sweep(40), sweep(40), sweep(40)])
  expect([...stored()].sort()).toEqual(
    records
      .slice(4)
      .map((record) => `${record}.${file.hash}`)
      .sort(),
  )
})

test('[AT-15] uploads that nobody goes on with, and copies that were left behind, are removed after a week', async () => {
  given = await givenAttachments()
  const [old, young] = [
    await given.report({ photo: valueOf(file) }),
    await given.report({ photo: valueOf(file) }),
  ]
  for (const record of [old, young]) await given.patch(record, file, { from: 0, to: 10 })
  const folder = join(given.folder, 'uploads', 'site-reports')
  const ago = (name: string, days: number): void => {
    const at = (Date.parse('2026-11-20T10:00:00.000Z') - days * dayMs) / 1_000
    utimesSync(name, at, at)
  }
  for (const name of readdirSync(folder)) ago(join(folder, name), name.startsWith(old) ? 7.1 : 6.9)
  mkdirSync(join(given.folder, 'finishing-old'))
  ago(join(given.folder, 'finishing-old'), 8)
  mkdirSync(join(given.folder, 'finishing-now'))
  ago(join(given.folder, 'finishing-now'), 1)
  expect(await sweep(0)).toEqual({ removed: 0, uploads: 1 })
  expect(readdirSync(folder).map((name) => name.slice(0, 36))).toEqual([young])
  expect(readdirSync(given.folder).sort()).toEqual(['finishing-now', 'uploads'])
})

test('[AT-13] other files in the folder are left alone, and a mark that was cut counts from now on', async () => {
  given = await givenAttachments()
  const record = await givenPhoto()
  const folder = join(given.folder, 'stored', 'site-reports')
  for (const name of ['notes.txt', `${record}.tmp`, `.${file.hash}`]) writeFileSync(join(folder, name), 'x')
  writeFileSync(join(given.folder, 'stored', 'readme'), 'x')
  await given.set(record, { photo: null })
  writeFileSync(join(folder, `${record}.${file.hash}.unnamed`), '2026-11-')
  expect(await sweep(40)).toMatchObject({ removed: 0 })
  expect(await sweep(69)).toMatchObject({ removed: 0 })
  expect(await sweep(70)).toMatchObject({ removed: 1 })
  expect(readdirSync(folder).sort()).toEqual([`.${file.hash}`, 'notes.txt', `${record}.tmp`].sort())
  expect(existsSync(join(given.folder, 'stored', 'readme'))).toBe(true)
})

test('[AT-13] of a collection that the schema does not have any more, days are counted as of any other', async () => {
  given = await givenAttachments()
  const store = fileAttachments(given.folder)
  const upload = { collection: 'dropped', record: await given.report(), hash: file.hash, user: 'ann' }
  const bytes = async function* (): AsyncIterable<Uint8Array> {
    yield file.bytes
  }
  await store.write(upload, 0, bytes())
  expect(await store.finish(upload, file.size)).toBe(true)
  await sweep(1)
  expect(await store.size(upload)).toBe(file.size)
  expect(await sweep(31)).toMatchObject({ removed: 1 })
})

test('[AT-13] a sweep that cannot ask removes nothing', async () => {
  given = await givenAttachments()
  const record = await givenPhoto()
  await given.set(record, { photo: null })
  await sweep(1)
  let asked = 0
  const engine: Pick<Engine, 'attachmentsNamed'> = {
    attachmentsNamed: async (keys) => {
      if (++asked === 2) throw new Error('the database is away')
      return given.sync.engine.attachmentsNamed(keys)
    },
  }
  await expect(sweep(40, { engine })).rejects.toThrow('away')
  expect(await sweep(41)).toMatchObject({ removed: 1 })
})

test('[AT-13] a server sweeps by itself', async () => {
  given = await givenAttachments({ keepDays: 0, limits: { retentionIntervalMs: 20 } })
  const record = await givenPhoto()
  await given.set(record, { photo: null })
  await expect.poll(() => stored()).toEqual([])
})

test('[AT-13] [AT-15] what one attachment meets ends no sweep: on a full disk that cannot be marked, the others and old uploads go', async () => {
  given = await givenAttachments()
  const records = [await givenPhoto(), await givenPhoto(), await givenPhoto()]
  for (const record of records) await given.set(record, { photo: null })
  const begun = await given.report({ photo: valueOf(file) })
  await given.patch(begun, file, { from: 0, to: 10 })
  const store = fileAttachments(given.folder)
  await store.mark(givenKey(records.at(-1) ?? ''), '2026-11-20T10:00:00.000Z')
  const full: AttachmentStore = {
    ...store,
    mark: async () => {
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
    },
  }
  await expect(sweep(40, { store: full, attachmentsAsked: 1 })).rejects.toThrow('ENOSPC')
  expect(stored()).toHaveLength(2)
  expect(await store.uploaded({ ...givenKey(begun), user: 'ann' })).toBe(0)
})

test('[AT-14] a node that dies while it brings something back leaves that to the next sweep', async () => {
  given = await givenAttachments()
  const [named, unnamed] = [await givenPhoto(), await givenPhoto()]
  const store = fileAttachments(given.folder)
  for (const record of [named, unnamed]) {
    const key = givenKey(record)
    await store.mark(key, '2026-11-20T10:00:00.000Z')
    await store.remove(key, () => Promise.reject(new Error('killed'))).catch(() => undefined)
    // It was found to be named, and killed when its mark was gone.
    rmSync(join(given.folder, 'stored', 'site-reports', `${record}.${file.hash}.unnamed`))
  }
  await given.set(unnamed, { photo: null })
  expect(await sweep(40)).toMatchObject({ removed: 0 })
  expect(await isReadable(named)).toBe(true)
  expect(await isReadable(unnamed)).toBe(false)
})
