import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { compareCopies } from './compare-copies.ts'
import type { Device } from './devices.ts'
import { playStories } from './play-stories.ts'
import { Stage } from './stage.ts'
import { aDraftFolds } from './stories/a-draft-folds.ts'
import { aLostValueReturns } from './stories/a-lost-value-returns.ts'
import { aPersonDecides } from './stories/a-person-decides.ts'
import { allStories } from './stories/all-stories.ts'
import { bothEditsStay } from './stories/both-edits-stay.ts'
import { countsAdd } from './stories/counts-add.ts'
import { deleteMeetsEdit } from './stories/delete-meets-edit.ts'
import { killedInMidPush } from './stories/killed-in-mid-push.ts'
import { oneOfManyRefused } from './stories/one-of-many-refused.ts'
import { sameRequestTwice } from './stories/same-request-twice.ts'
import { setsUnite } from './stories/sets-unite.ts'
import type { Facts, Story } from './stories/story.ts'
import { tokenExpires } from './stories/token-expires.ts'
import { widthOf } from './telling/layout.ts'
import { createNarrator } from './telling/narrator.ts'
import { openWorld, type World } from './world.ts'

let world: World
let ana: Device
let ben: Device
let stage: Stage
let told = ''
const linesByTitle = new Map<string, number>()

beforeAll(async () => {
  world = await openWorld({ port: 0 })
  ana = await world.openDevice('ana')
  ben = await world.openDevice('ben')
  for (const device of [ana, ben]) await device.db.sync.now()
  const tell = createNarrator({ columns: 80, hasColors: false, write: (text) => (told += text) })
  const { view, server, office, gate, folder } = world
  stage = new Stage({ ana, ben, server: view, url: server.url, office, gate, folder, tell })
})

afterAll(async () => {
  await world.end()
})

/** Plays a story and notes how many lines it told. */
async function play(story: Story): Promise<Facts> {
  const before = told.split('\n').length
  const facts = await story.play(stage)
  linesByTitle.set(story.title, told.split('\n').length - before)
  return facts
}

/** The same value on Ana's device, on Ben's and on the server. */
function everywhere<Value>(value: Value): readonly Value[] {
  return [value, value, value]
}

describe('the stories of the tour, over real HTTP and real files', () => {
  test('[PR-1] two counts made apart are both in the sum', async () => {
    expect(await play(countsAdd)).toEqual({ before: 10, stock: everywhere(13) })
  })

  test('[PR-2] edits to different fields and paragraphs both stay', async () => {
    expect(await play(bothEditsStay)).toEqual({
      title: everywhere('Blade Runner: The Final Cut'),
      description: everywhere('Los Angeles, 2019. It rains.'),
      paragraphs: ['Distributor: Warner Bros. (box set)', 'Certificate: R, checked in March'],
      openConflicts: 0,
    })
  })

  test('[PR-7] two prices are both kept until a person decides, and everybody sees it', async () => {
    expect(await play(aPersonDecides)).toEqual({
      waiting: ['15.00', '19.00', '15.00'],
      seenBy: [1, 1],
      price: everywhere('19.00'),
      openConflicts: [0, 0],
    })
  })

  test('[PR-2] every addition to and removal from a set counts', async () => {
    expect(await play(setsUnite)).toEqual({
      before: ['1990s', 'action', 'science fiction'],
      tags: everywhere(['1990s', 'cult', 'cyberpunk', 'science fiction']),
    })
  })

  test('[PR-2] an edit to a deleted record is put in front of a person, who can keep it', async () => {
    expect(await play(deleteMeetsEdit)).toEqual({
      kind: 'delete',
      waiting: [null, 'The one with the water-skier.', null],
      description: everywhere('The one with the water-skier.'),
    })
  })

  test('[PR-3] the same bytes sent three times have one effect', async () => {
    expect(await play(sameRequestTwice)).toEqual({
      before: 3,
      repeats: [
        { http: 200, status: 'applied', duplicate: true },
        { http: 200, status: 'applied', duplicate: true },
      ],
      stock: everywhere(2),
      sales: 1,
    })
  })

  test('[PR-3] a process killed before its answer came has one effect', { timeout: 40_000 }, async () => {
    expect(await play(killedInMidPush)).toEqual({
      signal: 'SIGKILL',
      onServerWhenKilled: 4,
      onDeviceAfterRestart: 4,
      unsettledAfterRestart: 1,
      unsettledAfterSync: 0,
      stock: everywhere(4),
      sales: 1,
    })
  })

  test('[PR-2] one refused edit of 36 is a dead letter with its reason, the others go through', async () => {
    expect(await play(oneOfManyRefused)).toEqual({
      edits: 36,
      through: 35,
      dead: 1,
      code: 'NOT_AUTHORIZED',
      deadAfterRepair: 0,
      price: everywhere('7.99'),
    })
  })

  test('[PR-2] two hundred edits of a draft travel as one mutation', async () => {
    const facts = await play(aDraftFolds)
    expect(facts).toMatchObject({ edits: 200, requests: 1, isTenTimesSmaller: true, entries: 1 })
    expect(facts['description']).toEqual(everywhere(expect.stringMatching(/^A writer, .* long version\.$/)))
  })

  test('[PR-2] a token that ends between two requests of a sync costs nothing', {
    timeout: 60_000,
  }, async () => {
    expect(await play(tokenExpires)).toEqual({
      edits: 3_200,
      refusals: 1,
      signIns: 1,
      unsettled: 0,
      sold: 3_200,
    })
  })

  test('[PR-7] a value that lost is listed and can be brought back', async () => {
    expect(await play(aLostValueReturns)).toEqual({
      shelf: everywhere('Window'),
      lost: ['Vault 3'],
      restored: everywhere('Vault 3'),
    })
  })

  test('[PR-6] after all of them the devices and the server hold the same rows', async () => {
    for (const device of [ana, ben, ana]) await device.db.sync.now()
    expect(await compareCopies([ana, ben], world.view)).toEqual({ rowCount: 3_200, differences: [] })
  })

  test('a row that differs is found, and so is an edit that was not sent', async () => {
    const film = await stage.film('Léon')
    await ana.db.films.update(film.id, { shelf: 'Nowhere' })
    const { differences } = await compareCopies([ana, ben], world.view)
    expect(differences).toHaveLength(2)
    expect(differences[0]).toContain('"shelf":"Nowhere"')
    expect(differences[1]).toMatch(/^Ana still has edit \d+ of .*: pending$/)
    for (const device of [ana, ben]) await device.db.sync.now()
    expect((await compareCopies([ana, ben], world.view)).differences).toEqual([])
  })

  test('a story that does not come out as expected is told with both', async () => {
    const lie: Story = {
      ...countsAdd,
      title: 'A lie',
      expected: { stock: 1 },
      play: async () => ({ stock: 2 }),
    }
    const truth: Story = { ...lie, title: 'A truth', expected: { stock: 2 } }
    expect(await playStories(stage, [lie, truth])).toEqual(['A lie'])
    expect(told).toMatch(/expected +\{"stock":1\}\n +.*came out.* +\{"stock":2\}/)
  })

  test('every story fits a terminal of 80 columns and 24 lines', () => {
    // The heading, the verdict and the blank line before it are told by the tour.
    expect([...linesByTitle].filter(([, lines]) => lines > 24 - 3)).toEqual([])
    expect(told.split('\n').filter((line) => widthOf(line) > 80)).toEqual([])
    expect(linesByTitle.size).toBe(allStories.length)
    expect(allStories.filter((story) => story.moral.length > 80 - 4)).toEqual([])
  })
})
