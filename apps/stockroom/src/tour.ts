import { catalogueSource } from './catalogue.ts'
import { compareCopies } from './compare-copies.ts'
import type { Device } from './devices.ts'
import { firstSync } from './first-sync.ts'
import type { StockroomOptions } from './options.ts'
import { playStories } from './play-stories.ts'
import { runPrompt } from './prompt/run-prompt.ts'
import { Stage } from './stage.ts'
import { allStories } from './stories/all-stories.ts'
import { formatCount } from './telling/layout.ts'
import { createNarrator, type Narrator, wantsColors } from './telling/narrator.ts'
import { openWorld, type World } from './world.ts'

/** Plays the tour and, unless it is played once, stays up afterwards. Resolves with the exit code. */
export async function runTour(options: StockroomOptions): Promise<number> {
  const tell = createNarrator({
    write: (text) => process.stdout.write(text),
    columns: process.stdout.columns ?? 80,
    hasColors: wantsColors(process.stdout, process.env),
    isTerminal: process.stdout.isTTY,
  })
  const stopped = untilSignal()
  const world = await openWorld(options)
  const running = playAndStay(world, tell, options)
  const exitCode = await Promise.race([running, stopped])
  await world.end()
  return exitCode
}

async function playAndStay(world: World, tell: Narrator, options: StockroomOptions): Promise<number> {
  tellOpening(tell, world)
  const devices = await openDevices(world, false)
  await firstSync(devices, { tell, rowCount: world.catalogue.films.length })
  const stories = options.skipsStories ? [] : allStories
  const failed = await playStories(stageOf(world, devices, tell), stories)
  const isAllTrue = await tellOutcome(tell, { world, devices, failed, playedCount: stories.length })
  for (const device of devices) await device.db.close()
  if (options.isOnce) return isAllTrue ? 0 : 1
  return stayUp(world, tell, options)
}

async function openDevices(world: World, auto: boolean): Promise<readonly [ana: Device, ben: Device]> {
  return [await world.openDevice('ana', { auto }), await world.openDevice('ben', { auto })]
}

function stageOf(world: World, [ana, ben]: readonly [Device, Device], tell: Narrator): Stage {
  const { view, server, office, gate, folder } = world
  return new Stage({ ana, ben, server: view, url: server.url, office, gate, folder, tell })
}

function tellOpening(tell: Narrator, { catalogue, server }: World): void {
  const { repairs } = catalogue
  tell.banner(
    'Holdfast · the stockroom tour',
    'A film library lends and sells discs. Ana works in the warehouse, Ben in the office. Each has the whole stock ' +
      'in a SQLite file and writes to it with or without a network. No edit may get lost, and none may count twice.',
  )
  const kept = `${formatCount(catalogue.films.length)} of ${formatCount(catalogue.found)} films usable`
  tell.item('stock', [
    `${kept}, from ${catalogueSource}`,
    tell.dim(
      `left out: ${repairs.untitled} without a title; put right: ${repairs.misreadTitles} misread titles, ` +
        `${repairs.numericTitles} numeric ones, ${repairs.wrongCenturies} wrong centuries, ` +
        `${repairs.unknownDates} unknown dates`,
    ),
  ])
  tell.item('server', [`${server.url}   ${tell.dim('filled by plain SQL INSERTs')}`])
}

interface Played {
  readonly world: World
  readonly devices: readonly Device[]
  readonly playedCount: number
  /** Titles of stories that did not come true. */
  readonly failed: readonly string[]
}

/** Compares everything with everything at the end; true when nothing is wrong anywhere. */
async function tellOutcome(
  tell: Narrator,
  { world, devices, failed, playedCount }: Played,
): Promise<boolean> {
  for (const device of [...devices, ...devices]) await device.db.sync.now()
  const { rowCount, differences } = await compareCopies(devices, world.view)
  tell.chapter({ label: 'the end', title: 'Is every copy the same?' })
  const isEqual = differences.length === 0
  tell.verdict(
    isEqual,
    isEqual
      ? `${formatCount(rowCount)} rows are the same on both devices and the server, value for value.`
      : `${differences.length} differences between the devices and the server.`,
  )
  for (const difference of differences) tell.item('', difference.split('\n'))
  if (playedCount > 0) {
    const trueCount = playedCount - failed.length
    tell.verdict(failed.length === 0, `${trueCount} of ${playedCount} stories came out as promised.`)
  }
  for (const title of failed) tell.item('', [title])
  return isEqual && failed.length === 0
}

/** Devices that sync by themselves, the addresses to try, and the prompt; until "quit" or a signal. */
async function stayUp(world: World, tell: Narrator, options: StockroomOptions): Promise<number> {
  const isTerminal = process.stdin.isTTY
  const devices = await openDevices(world, true)
  tellAddresses(tell, world)
  if (isTerminal || options.wantsPrompt) {
    tell.say('Here: "help" lists the commands. Try "airplane a on", then "a set casablanca price 9.99".')
    tell.gap()
    await runPrompt(stageOf(world, devices, tell), {
      input: process.stdin,
      output: process.stdout,
      isTerminal,
    })
  } else {
    tell.say('The server stays up until it gets SIGINT or SIGTERM.')
    await new Promise(() => undefined)
  }
  return 0
}

function tellAddresses(tell: Narrator, { server, office }: World): void {
  const token = office.issue({ id: 'visitor' }, { lifetimeMs: 24 * 3_600_000 })
  tell.chapter({ label: 'your turn', title: 'The server is up' })
  tell.say('In another terminal, with a token that is good for a day:')
  tell.gap()
  tell.raw([
    `URL=${server.url}`,
    `TOKEN=${token}`,
    'curl -H "Authorization: Bearer $TOKEN" "$URL/records/films?title=Casablanca"',
    'curl -H "Authorization: Bearer $TOKEN" "$URL/conflicts"',
    'curl "$URL/openapi.json"',
  ])
  tell.gap()
}

/** Resolves with the exit code of a process that was asked to end. */
function untilSignal(): Promise<number> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve(0))
    process.once('SIGTERM', () => resolve(0))
  })
}
