/**
 * `npm run fleet -- [--devices 5000] [--mutations 20] [--nodes 2] [--streams 2000]`: a reconnection storm and idle streams
 * against real nodes over a PostgreSQL of its own, with fsync on. Prints what it measured; fails if anything was lost.
 */
import { newUuid } from '@holdfast/core'
import { systemEnvironment } from '@holdfast/client'
import { type PostgresServer, startPostgres } from '@holdfast/testing/services'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { parseArgs } from 'node:util'
import { Client } from 'pg'

import { postgresCpuMs } from '../process-cpu.ts'
import type { NodeOrder, NodeReport } from './fleet-node.ts'
import { devicesPerWarehouse } from './fleet-schema.ts'
import { pullNothing, pullToTheEnd } from './idle-pulls.ts'

const { values } = parseArgs({
  options: {
    devices: { type: 'string', default: '5000' },
    mutations: { type: 'string', default: '20' },
    nodes: { type: 'string', default: '2' },
    sockets: { type: 'string', default: '500' },
    streams: { type: 'string', default: '2000' },
    connections: { type: 'string', default: '8' },
  },
})
const deviceCount = Number(values.devices)
const perDevice = Number(values.mutations)

interface Device {
  readonly token: string
  readonly id: string
  readonly body: string
}

/** A batch of a phone that was away: new counts, and edits of them. */
function prepareDevice(n: number): Device {
  const id = newUuid(systemEnvironment)
  const warehouse = `w${Math.floor(n / devicesPerWarehouse)}`
  const at = `${new Date().toISOString()}-0000-${id}`
  let record = ''
  const mutations = Array.from({ length: perDevice }, (_, index) => {
    const isNew = index % 2 === 0
    if (isNew) record = newUuid(systemEnvironment)
    const envelope = {
      id: newUuid(systemEnvironment),
      seq: index + 1,
      collection: 'counts',
      record,
      at,
      schema: 1,
    }
    return isNew
      ? { ...envelope, op: 'create', changes: { warehouse, sku: `S-${n}-${index}`, stock: 5, note: '' } }
      : { ...envelope, op: 'update', baseVersion: 0, increments: { stock: -2 } }
  })
  return { token: `u${n}.${warehouse}`, id, body: JSON.stringify({ ack: '', mutations }) }
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly retryAfterMs: number
}

function ask(agent: Agent, port: number, { token, id, body }: Device): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      'holdfast-device': id,
      'holdfast-schema': '1',
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    }
    const call = request(
      { agent, port, host: '127.0.0.1', method: 'POST', path: '/sync/push', headers },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('error', reject)
        response.on('end', () => {
          const retryAfterMs = 1_000 * Number(response.headers['retry-after'] ?? 1)
          resolve({ status: response.statusCode ?? 0, text, retryAfterMs })
        })
      },
    )
    call.on('error', reject)
    call.end(body)
  })
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Until its batch is taken, as a device would: it waits as it is told, and repeats. */
async function pushUntilTaken(
  agent: Agent,
  port: number,
  device: Device,
): Promise<{ ms: number; tries: number }> {
  const startMs = performance.now()
  for (let tries = 1; ; tries++) {
    const answer = await ask(agent, port, device).catch(() => ({ status: 0, text: '', retryAfterMs: 200 }))
    if (answer.status === 200) {
      const applied = answer.text.match(/"status":"applied"/g)?.length ?? 0
      if (applied !== perDevice)
        throw new Error(`${applied} of ${perDevice} were applied: ${answer.text.slice(0, 500)}`)
      return { ms: performance.now() - startMs, tries }
    }
    await pause(answer.retryAfterMs * (0.5 + Math.random()))
  }
}

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

async function startNode(order: NodeOrder): Promise<Node> {
  const child = fork(new URL('./fleet-node.ts', import.meta.url), [JSON.stringify(order)])
  // Nodes send nothing else.
  const [first] = (await once(child, 'message')) as [NodeReport]
  return { child, port: first.port }
}

const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(0)} MB`
const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0

async function storm(
  nodes: readonly Node[],
  { url, dataDir }: PostgresServer,
  devices: readonly Device[],
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: Math.floor(Number(values.sockets) / nodes.length) })
  const before = await Promise.all(nodes.map(({ child }) => report(child)))
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
      return pushUntilTaken(agent, nodes[n % nodes.length]?.port ?? 0, device)
    }),
  )
  const drainMs = performance.now() - startMs
  const cpu = process.cpuUsage(startCpu)
  isOver = true
  await watching
  const databaseMs = postgresCpuMs(dataDir) - beforeMs
  const after = await Promise.all(nodes.map(({ child }) => report(child)))
  const nodesMs = after.reduce((sum, { cpuMs }, n) => sum + cpuMs - (before[n]?.cpuMs ?? 0), 0)
  agent.destroy()
  const latencies = done.map(({ ms }) => ms).sort((left, right) => left - right)
  const repeats = done.filter(({ tries }) => tries > 1).length
  const total = deviceCount * perDevice
  const growth = highest.map((bytes, n) => bytes - (before[n]?.rssBytes ?? 0))
  const share = (cpu.user + cpu.system) / 1_000 / drainMs
  process.stdout.write(
    [
      `storm      ${deviceCount} devices with ${perDevice} mutations each within a second, ${nodes.length} nodes`,
      `drained    ${(drainMs / 1_000).toFixed(1)} s, ${Math.round((1_000 * total) / drainMs)} mutations/s; answered p50 ${percentile(latencies, 0.5).toFixed(0)} ms, p99 ${percentile(latencies, 0.99).toFixed(0)} ms; asked again ${repeats}`,
      `CPU        ${((1_000 * nodesMs) / total).toFixed(0)} µs of the nodes and ${((1_000 * databaseMs) / total).toFixed(0)} µs of PostgreSQL for each mutation\n` +
        `memory     nodes grew by ${growth.map(megabytes).join(' and ')}; the generator took ${(100 * share).toFixed(0)} % of a core`,
      '',
    ].join('\n'),
  )
  await checkEachOnce(url)
}

/** Errors: when a mutation is missing, or counts twice. */
async function checkEachOnce(url: string): Promise<void> {
  const total = deviceCount * perDevice
  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<{ n: string; stock: string; outcomes: string }>(
    'SELECT count(*) AS n, sum(stock) AS stock, (SELECT count(*) FROM holdfast.outcomes) AS outcomes FROM counts',
  )
  await client.end()
  const created = deviceCount * Math.ceil(perDevice / 2)
  const edited = deviceCount * Math.floor(perDevice / 2)
  const held = rows[0]
  if (
    Number(held?.n) !== created ||
    Number(held?.stock) !== 5 * created - 2 * edited ||
    Number(held?.outcomes) !== total
  )
    throw new Error(`lost or doubled: ${JSON.stringify(held)}`)
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
  const cpuOfNodes = async (): Promise<number> =>
    (await Promise.all(nodes.map(({ child }) => report(child)))).reduce((sum, { cpuMs }) => sum + cpuMs, 0)
  const cursors = await pullToTheEnd(pullers)
  const [nodesMs, databaseMs, startMs] = [await cpuOfNodes(), postgresCpuMs(dataDir), performance.now()]
  await pullNothing(pullers, cursors, times)
  const total = times * pullers.length
  const each = (ms: number): string => `${((1_000 * ms) / total).toFixed(0)} µs`
  process.stdout.write(
    `idle pulls ${total} in ${((performance.now() - startMs) / 1_000).toFixed(1)} s; CPU ${each((await cpuOfNodes()) - nodesMs)} of the nodes and ${each(postgresCpuMs(dataDir) - databaseMs)} of PostgreSQL for each\n`,
  )
}

const postgres = await startPostgres({ flavour: 'embedded' })
const nodes: Node[] = []
try {
  const order = { url: postgres.url, connections: Number(values.connections) }
  for (let n = 0; n < Number(values.nodes); n++) nodes.push(await startNode(order))
  const [first] = nodes
  if (first) await idleStreams(first)
  const devices = Array.from({ length: deviceCount }, (_, n) => prepareDevice(n))
  await storm(nodes, postgres, devices)
  await idlePulls(nodes, postgres, devices)
} finally {
  for (const { child } of nodes) child.kill()
  await postgres.stop()
}
