/**
 * `npm run bench:postgres -- [--rows 100000] [--beside 1000000] [--rounds 3] [--only PARTS] [--json FILE]`: what capture and the
 * engine cost on a PostgreSQL with fsync, against the least that does the same, in the same run. What is compared is measured in
 * turns. Parts: push, capture, pulls, scans, devices, growth, one after another with commas; lines of the others are left out.
 */
import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { startPostgres } from '@holdfast/testing/services'
import { measureCapture } from './postgres/capture-cases.ts'
import { givenItems, type GrownItems } from './postgres/given-items.ts'
import { measureOtherDevice } from './postgres/other-device.ts'
import { batch, measureGrowth, measurePush } from './postgres/push-cases.ts'
import { measureEmptyPulls, measurePullOne, measureScans } from './postgres/read-cases.ts'
import { Samples } from './postgres/samples.ts'

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    beside: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
})
const wanted = options.only?.split(',')
const isWanted = (part: string): boolean => wanted?.includes(part) ?? true
const rows = Number(options.rows)
const rounds = Number(options.rounds)
const sizes = [1_000, rows, Number(options.beside)]

interface Line {
  readonly case: string
  readonly unit: string
  readonly ours: number
  readonly limit: number
  readonly ratio: number
  readonly goal: string
}

const samples = new Samples()
const loads = [loadavg()[0] ?? 0]
const server = await startPostgres({ settings: { shared_buffers: '1GB', max_wal_size: '4GB' } })
const items = await givenItems(server.url)
if (isWanted('push')) await measurePush(items, samples, rounds)
if (isWanted('capture')) await measureCapture(items, samples, { rows, rounds })
if (isWanted('pulls')) await measureEmptyPulls(items, samples)
if (isWanted('scans')) await measureScans(items, samples, rounds)
await items.close()
if (isWanted('devices')) await measureOtherDevice(server.url, samples, 60)
if (isWanted('growth')) {
  const grown: GrownItems[] = []
  for (const size of sizes) grown.push({ size, items: await givenItems(server.url, size) })
  await measureGrowth(grown, samples)
  await measurePullOne(grown, samples)
  for (const each of grown) await each.items.close()
}
await server.stop()
loads.push(loadavg()[2] ?? 0)

type Compared = readonly [name: string, ours: number, limit: number, goal: string]

const more: readonly Compared[] = [
  [`update of ${rows} rows`, samples.of('bulk items'), samples.of('bulk bare'), '≤ 2.5'],
  [
    `update of ${rows} rows, against feed and audit by hand`,
    samples.of('bulk items'),
    samples.of('bulk hand'),
    'none',
  ],
  ['update of one row', samples.of('single items'), samples.of('single bare'), '≤ 1.5'],
  ['scope locks at commit, p99 against 50 ms', samples.of('lock', 0.99), 50, '≤ 1'],
  [
    'scope locks at commit, p99 against a bare commit of the same rows',
    samples.of('lock', 0.99),
    samples.of('bare commit', 0.99),
    'none',
  ],
  [
    'scope locks at commit, p50 against a bare commit of the same rows',
    samples.of('lock'),
    samples.of('bare commit'),
    'none',
  ],
  ['pull of nothing new in one scope, against 5 ms', samples.of('pull nothing'), 5, '≤ 1'],
  ['empty pull of 1,000 scopes, against 5 ms', samples.of('pull empty'), 5, '≤ 1'],
  ...sizes.map(
    (size): Compared => [
      `pull of one change of ${size} rows, against 5 ms`,
      samples.of(`pull one ${size}`),
      5,
      '≤ 1',
    ],
  ),
  [
    'write until another device at another node has it, p50 against 20 ms',
    samples.of('other device'),
    20,
    '≤ 1',
  ],
  [
    'write until another device at another node has it, against by hand',
    samples.of('other device'),
    samples.of('by hand'),
    'none',
  ],
  [
    'write until another device at the same node has it, p50 against 20 ms',
    samples.of('same node'),
    20,
    '≤ 1',
  ],
  ...sizes.slice(1).flatMap((size): Compared[] =>
    ['create', 'update'].flatMap((op): Compared[] => [
      [
        `push of ${batch} ${op}s beside ${size} rows, against beside ${sizes[0]}`,
        samples.of(`${op} ${size}`),
        samples.of(`${op} ${sizes[0]}`),
        '≤ 1.2',
      ],
      [
        `bare upsert of ${batch} rows, ${op}s beside ${size} rows, against beside ${sizes[0]}`,
        samples.of(`bare ${op} ${size}`),
        samples.of(`bare ${op} ${sizes[0]}`),
        'none',
      ],
    ]),
  ),
  [`checksums of all rows, against one scan of the feed`, samples.of('digests'), samples.of('scan'), 'none'],
]
/** Where more is better: shares of a rate. */
const shares: readonly Compared[] = [
  [
    `push of ${batch}, as a share of the bare upsert's rate`,
    samples.of('push'),
    samples.of('upsert'),
    '≥ 0.35',
  ],
  [
    `push of ${batch}, as a share of the rate of its rows by hand`,
    samples.of('push'),
    samples.of('push by hand'),
    'none',
  ],
  [
    'snapshot, as a share of the rate of rows as JSON by hand',
    samples.of('snapshot'),
    samples.of('stream'),
    '≥ 0.5',
  ],
]
const line = ([name, ours, limit, goal]: Compared, ratio: number): Line => ({
  case: name,
  unit: 'ms',
  ours,
  limit,
  ratio,
  goal,
})
const lines = [
  ...more.map((each) => line(each, each[1] / each[2])),
  ...shares.map((each) => line(each, each[2] / each[1])),
].filter(({ ours }) => !Number.isNaN(ours))
for (const { case: name, ours, limit, ratio, goal } of lines)
  process.stdout.write(
    `${name}: ${ours.toFixed(2)} ms, limit ${limit.toFixed(2)} ms, ${ratio.toFixed(2)} (goal ${goal})\n`,
  )
process.stdout.write(
  `load of the machine: ${loads.map((load) => load.toFixed(1)).join(' at the start, ')} on average\n`,
)
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify({ load: loads, lines }, null, 2)}\n`)
