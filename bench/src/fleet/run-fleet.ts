/**
 * `npm run fleet -- [--devices 5000] [--mutations 20] [--nodes 2] [--workers 1] [--clients 50] [--streams 2000]
 * [--mode inline|queued|auto] [--storm]`: a reconnection storm beside real clients, and idle streams, against real nodes over a
 * PostgreSQL of its own, with fsync on, and a Redis and workers of its own where pushes may be queued (0: the nodes work). Prints what
 * it measured; fails if anything was lost, doubled or never decided. `--storm` is the storm alone.
 */
import { newUuid } from '@holdfast/core'
import { systemEnvironment } from '@holdfast/client'
import { type PostgresServer, startPostgres, startRedis } from '@holdfast/testing/services'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { Client } from 'pg'

import { postgresCpuMs } from '../process-cpu.ts'
import { type Device, pause, prepareDevice, pushUntilDecided, type Served } from './fleet-device.ts'
import type { ClientsOrder, ClientsReport } from './fleet-clients.ts'
import type { NodeOrder, NodeReport } from './fleet-node.ts'
import { pullNothing, pullToTheEnd } from './idle-pulls.ts'

const { values } = parseArgs({
  options: {
    devices: { type: 'string', default: '5000' },
    mutations: { type: 'string', default: '20' },
    nodes: { type: 'string', default: '2' },
    workers: { type: 'string', default: '1' },
    clients: { type: 'string', default: '50' },
    sockets: { type: 'string', default: '500' },
    streams: { type: 'string', default: '2000' },
    connections: { type: 'string', default: '8' },
    mode: { type: 'string', default: 'inline' },
    storm: { type: 'boolean', default: false },
  },
})
const deviceCount = Number(values.devices)
const perDevice = Number(values.mutations)

interface Node {
  readonly child: ChildProcess
  readonly port: number
}

async function report(child: ChildProcess): Promise<NodeReport> {
  const answer = once(child, 'message')
  child.send('report')
  // Nodes send nothing else.
  return (await answer)[0] as NodeReport
}

const entries = {
  node: new URL('./fleet-node.ts', import.meta.url),
  worker: new URL('./fleet-worker.ts', import.meta.url),
}

async function startNode(order: NodeOrder, kind: keyof typeof entries): Promise<Node> {
  const child = fork(entries[kind], [JSON.stringify(order)])
  // Nodes send nothing else.
  const [first] = (await once(child, 'message')) as [NodeReport]
  return { child, port: first.port }
}

const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(0)} MB`
const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0

/** Clients that work beside the storm, from before it until after it. Returns the way to end them. */
async function startClients(nodes: readonly Node[]): Promise<() => Promise<ClientsReport>> {
  const order: ClientsOrder = { ports: nodes.map(({ port }) => port), clients: Number(values.clients) }
  const child = fork(new URL('./fleet-clients.ts', import.meta.url), [JSON.stringify(order)])
  await once(child, 'message')
  await pause(3_000)
  return async () => {
    const answer = once(child, 'message')
    child.send('enough')
    // Clients send nothing else.
    const [told] = (await answer) as [ClientsReport]
    child.kill()
    return told
  }
}

async function storm(
  { nodes, workers }: { readonly nodes: readonly Node[]; readonly workers: readonly Node[] },
  { url, dataDir }: PostgresServer,
  devices: readonly Device[],
): Promise<void> {
  const endClients = await startClients(nodes)
  const agent = new Agent({ keepAlive: true, maxSockets: Math.floor(Number(values.sockets) / nodes.length) })
  const before = await Promise.all(nodes.map(({ child }) => report(child)))
  const workersBeforeMs = await cpuMsOf(workers)
  const beforeMs = postgresCpuMs(dataDir)
  let highest = before.map(({ rssBytes }) => rssBytes)
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      const now = await Promise.all(nodes.map(({ child }) => report(child)))
      highest = now.map(({ rssBytes }, n) => Math.max(rssBytes, highest[n] ?? 0))
      await pause(100)
    }
  })()
  const startMs = performance.now()
  const startCpu = process.cpuUsage()
  const done = await Promise.all(
    devices.map(async (device, n) => {
      // All within a second.
      await pause((1_000 * n) / devices.length)
      return pushUntilDecided({ agent, port: nodes[n % nodes.length]?.port ?? 0 }, device)
    }),
  )
  const drainMs = performance.now() - startMs
  const cpu = process.cpuUsage(startCpu)
  isOver = true
  await watching
  const databaseMs = postgresCpuMs(dataDir) - beforeMs
  const nodesMs = (await cpuMsOf(nodes)) - before.reduce((sum, { cpuMs }) => sum + cpuMs, 0)
  const workersMs = (await cpuMsOf(workers)) - workersBeforeMs
  agent.destroy()
  const clients = await endClients()
  const total = deviceCount * perDevice
  const growth = highest.map((bytes, n) => bytes - (before[n]?.rssBytes ?? 0))
  const share = (cpu.user + cpu.system) / 1_000 / drainMs
  process.stdout.write(
    [
      `storm      ${deviceCount} devices with ${perDevice} mutations each within a second, ${nodes.length} nodes, ${workers.length} workers, ${values.mode}`,
      `drained    ${(drainMs / 1_000).toFixed(1)} s, ${Math.round((1_000 * total) / drainMs)} mutations/s`,
      ...servedLines(done),
      `beside     ${values.clients} real clients with ${clients.writes} writes, until the verdict: ${spread(clients.verdictMs)}`,
      `CPU        ${((1_000 * nodesMs) / total).toFixed(0)} µs of the nodes, ${((1_000 * workersMs) / total).toFixed(0)} µs of the workers and ${((1_000 * databaseMs) / total).toFixed(0)} µs of PostgreSQL for each mutation; load of the machine ${(loadavg()[0] ?? 0).toFixed(1)}`,
      `memory     nodes grew by ${growth.map(megabytes).join(' and ')}; the generator took ${(100 * share).toFixed(0)} % of a core`,
      '',
    ].join('\n'),
  )
  await checkEachOnce(url, clients)
}

async function cpuMsOf(processes: readonly Node[]): Promise<number> {
  const reports = await Promise.all(processes.map(({ child }) => report(child)))
  return reports.reduce((sum, { cpuMs }) => sum + cpuMs, 0)
}

/** Of times in ms. */
function spread(times: readonly number[]): string {
  const sorted = times.toSorted((left, right) => left - right)
  const told = [0.5, 0.99, 1].map((share) => (percentile(sorted, share) / 1_000).toFixed(2))
  return `p50 ${told[0]} s, p99 ${told[1]} s, most ${told[2]} s`
}

function servedLines(done: readonly Served[]): string[] {
  const refusals = done.flatMap((each) => each.refusals.map(({ retryAfterMs }) => retryAfterMs))
  const refused = done.filter((each) => each.refusals.length > 0).length
  const broken = done.reduce((sum, each) => sum + each.broken, 0)
  return [
    `served     ${spread(done.map(({ ms }) => ms))}`,
    `answered   ${spread(done.map(({ answeredMs }) => answeredMs))}; ${done.filter(({ isQueued }) => isQueued).length} with a receipt`,
    refusals.length === 0
      ? `refused    none; ${broken} attempts broke`
      : `refused    ${refusals.length} times, ${refused} devices, told to wait ${spread(refusals)}; ${broken} attempts broke`,
  ]
}

/** Errors: when a mutation is missing, or counts twice. */
async function checkEachOnce(url: string, { writes, others }: ClientsReport): Promise<void> {
  const total = deviceCount * perDevice + writes
  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<{
    n: string
    beside: string
    stock: string
    outcomes: string
    undecided: string
  }>(
    `SELECT count(*) FILTER (WHERE sku LIKE 'S-%') AS n, count(DISTINCT sku) FILTER (WHERE sku LIKE 'C-%') AS beside,
     sum(stock) AS stock, (SELECT count(*) FROM holdfast.outcomes) AS outcomes,
     (SELECT count(*) FROM holdfast.receipts WHERE answer IS NULL) AS undecided FROM counts`,
  )
  await client.end()
  const created = deviceCount * Math.ceil(perDevice / 2)
  const edited = deviceCount * Math.floor(perDevice / 2)
  const held = rows[0]
  if (
    Number(held?.n) !== created ||
    Number(held?.beside) !== writes ||
    others.length > 0 ||
    Number(held?.stock) !== 5 * created - 2 * edited ||
    Number(held?.outcomes) !== total ||
    Number(held?.undecided) !== 0
  )
    throw new Error(`lost or doubled: ${JSON.stringify({ ...held, writes, others })}`)
  process.stdout.write(`verdict    ${total} mutations, each there once\n`)
}

/** So many devices listen, and nothing happens. */
async function idleStreams({ child, port }: Node): Promise<void> {
  const count = Number(values.streams)
  const before = (await report(child)).rssBytes
  const agent = new Agent({ keepAlive: true, maxSockets: count })
  const open = (n: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer u${n}.w${n % 40}`,
        'holdfast-device': newUuid(systemEnvironment),
        'holdfast-schema': '1',
      }
      const call = request({ agent, port, host: '127.0.0.1', path: '/sync/stream', headers }, (response) => {
        response.on('error', () => undefined)
        response.resume()
        if (response.statusCode === 200) resolve()
        else reject(new Error(`a stream was answered ${response.statusCode}`))
      })
      call.on('error', reject)
      call.end()
    })
  for (let n = 0; n < count; n += 50)
    await Promise.all(Array.from({ length: Math.min(50, count - n) }, (_, at) => open(n + at)))
  await pause(1_000)
  const after = (await report(child)).rssBytes
  process.stdout.write(
    `streams    ${count} idle ones on one node: ${megabytes(before)} before, ${megabytes(after)} with them, ${((after - before) / 1024 / count).toFixed(1)} kB each\n`,
  )
  agent.destroy()
}

/** What a device costs that asks and hears of nothing new. */
async function idlePulls(
  nodes: readonly Node[],
  { dataDir }: PostgresServer,
  devices: readonly Device[],
): Promise<void> {
  const pullers = devices.map(({ token, id }, n) => ({ token, id, port: nodes[n % nodes.length]?.port ?? 0 }))
  const times = 3
  const cpuOfNodes = (): Promise<number> => cpuMsOf(nodes)
  const cursors = await pullToTheEnd(pullers)
  const [nodesMs, databaseMs, startMs] = [await cpuOfNodes(), postgresCpuMs(dataDir), performance.now()]
  await pullNothing(pullers, cursors, times)
  const total = times * pullers.length
  const each = (ms: number): string => `${((1_000 * ms) / total).toFixed(0)} µs`
  process.stdout.write(
    `idle pulls ${total} in ${((performance.now() - startMs) / 1_000).toFixed(1)} s; CPU ${each((await cpuOfNodes()) - nodesMs)} of the nodes and ${each(postgresCpuMs(dataDir) - databaseMs)} of PostgreSQL for each\n`,
  )
}

const modes = ['inline', 'queued', 'auto'] as const
const mode = modes.find((each) => each === values.mode)
if (mode === undefined) throw new Error(`--mode is one of ${modes.join(', ')}`)
const postgres = await startPostgres({ flavour: 'embedded' })
const redis = mode === 'inline' ? undefined : await startRedis({ isOwn: true })
const nodes: Node[] = []
const workers: Node[] = []
try {
  const order = {
    url: postgres.url,
    connections: Number(values.connections),
    mode,
    redis: redis?.url ?? null,
    works: values.workers === '0',
  }
  for (let n = 0; n < Number(values.nodes); n++) nodes.push(await startNode(order, 'node'))
  if (redis !== undefined)
    for (let n = 0; n < Number(values.workers); n++) workers.push(await startNode(order, 'worker'))
  const [first] = nodes
  if (first && !values.storm) await idleStreams(first)
  const devices = Array.from({ length: deviceCount }, (_, n) => prepareDevice(n, perDevice))
  await storm({ nodes, workers }, postgres, devices)
  if (!values.storm) await idlePulls(nodes, postgres, devices)
} finally {
  for (const { child } of [...nodes, ...workers]) child.kill()
  await postgres.stop()
  await redis?.stop()
}
