#!/usr/bin/env node
// Plain JavaScript that any Node from 18 on can read: it finds a Node that can run Holdfast, then steps aside.
import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = dirname(realpathSync(fileURLToPath(import.meta.url)))
const built = join(here, '../dist/index.js')
// Sources run as they are in the workspace; that takes a Node that strips types by itself.
const isBuilt = existsSync(built)
const needed = isBuilt ? [22, 14] : [22, 18]

const [major, minor] = process.versions.node.split('.').map(Number)
if (major > needed[0] || (major === needed[0] && minor >= needed[1])) await run()
else restart()

async function run() {
  if (process.env.HOLDFAST_RESTARTED === '1' && process.channel) {
    // Started by `restart` below: ends with the process that was started by hand, however that one ends.
    process.once('disconnect', () => process.exit(1))
    process.channel.unref()
  }
  const entry = isBuilt ? built : join(here, '../src/index.ts')
  const { runCommand } = await import(pathToFileURL(entry).href)
  process.exitCode = await runCommand(process.argv.slice(2))
}

function restart() {
  const node =
    process.env.HOLDFAST_RESTARTED === '1' ? undefined : (findNode(here) ?? findNode(process.cwd()))
  if (node === undefined) {
    process.stderr.write(
      `holdfast needs Node ${needed.join('.')} or newer; this is ${process.versions.node}.\n`,
    )
    process.exit(1)
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, HOLDFAST_RESTARTED: '1' },
  })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    process.stderr.write(`holdfast could not start ${node}: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    for (const each of signals) process.removeAllListeners(each)
    process.kill(process.pid, signal)
  })
}

/** The binary of the `node` package, looked for as Node looks for packages: upwards. */
function findNode(folder) {
  const file = join(folder, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (existsSync(file)) return file
  const parent = dirname(folder)
  return parent === folder ? undefined : findNode(parent)
}
