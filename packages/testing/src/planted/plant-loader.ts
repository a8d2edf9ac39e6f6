/**
 * Puts one planted bug into the process it is loaded into: `HOLDFAST_PLANT=<id> node --import <this file> …`. The source
 * text is changed before its types are stripped; the files on disk stay as they are. Exit code 3 when the bug does not
 * fit the source, or when one of its files was never loaded. Rules: SIM-52.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

import { catalogue } from './catalogue.ts'
import { filesOf, plantedText } from './plant.ts'

const root = new URL('../../../../', import.meta.url)

const id = process.env['HOLDFAST_PLANT'] ?? ''
const waiting = new Map<string, string>()
let isLoud = false

process.on('exit', () => {
  const { user, system } = process.cpuUsage()
  const usage = process.env['HOLDFAST_PLANT_USAGE']
  if (usage !== undefined) appendFileSync(usage, `${(user + system) / 1_000}\n`)
  if (waiting.size === 0 && !isLoud) return
  if (!isLoud) process.stderr.write(`planted bug ${id}: never loaded: ${[...waiting.keys()].join(', ')}\n`)
  process.exitCode = 3
})

const texts = plant()
for (const url of texts.keys()) waiting.set(url, id)

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const source = texts.get(url)
    if (source === undefined) return loaded
    waiting.delete(url)
    return { ...loaded, source }
  },
})

/** The changed source texts by URL. */
function plant(): ReadonlyMap<string, string> {
  const planted = catalogue.find((candidate) => candidate.id === id)
  try {
    if (planted === undefined) throw new Error(`there is no planted bug "${id}"`)
    return new Map(
      filesOf(planted).map((file) => {
        const url = new URL(file, root)
        return [url.href, plantedText(planted, file, readFileSync(url, 'utf8'))]
      }),
    )
  } catch (error) {
    isLoud = true
    throw error
  }
}
