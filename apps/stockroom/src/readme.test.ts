import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { freePort } from '@holdfast/testing/free-port'
import { afterAll, beforeAll, expect, test } from 'vitest'

const readme = fileURLToPath(new URL('../../../README.md', import.meta.url))
/** Inside this workspace, so that the example finds the packages; ignored by git and by every tool. */
const scratch = fileURLToPath(new URL('../.types/readme', import.meta.url))

let folder = ''
let files: ReadonlyMap<string, string>
const children: ChildProcess[] = []

beforeAll(async () => {
  await mkdir(scratch, { recursive: true })
  folder = await mkdtemp(join(scratch, 'example-'))
  files = filesOf(await readFile(readme, 'utf8'))
})

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

/** The ts blocks of a page by file name; each begins with a comment that is its name. */
function filesOf(markdown: string): ReadonlyMap<string, string> {
  const blocks = [...markdown.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '')
  return new Map(blocks.map((text) => [/^\/\/ ([\w-]+\.ts)/.exec(text)?.[1] ?? 'nameless', text]))
}

function start(name: string): { readonly child: ChildProcess; readonly output: () => string } {
  const child = spawn(process.execPath, [name], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return { child, output: () => text }
}

test('the example of the README runs as it stands and prints what it says', async () => {
  expect([...files.keys()]).toEqual(['schema.ts', 'server.ts', 'app.ts'])
  const port = await freePort()
  for (const [name, text] of files) await writeFile(join(folder, name), text.replaceAll('3000', String(port)))

  const server = start('server.ts')
  await expect.poll(() => isUp(port)).toBe(true)
  const app = start('app.ts')
  const [code] = await once(app.child, 'close')

  const promised = /console\.log\(.*\) \/\/ (.*)/.exec(files.get('app.ts') ?? '')?.[1]
  expect(promised).toBe('13')
  expect({ code, app: app.output(), server: server.output() }).toEqual({ code: 0, app: '13\n', server: '' })
})

test('the example is short enough to be read at once', () => {
  const lines = [...files.values()].join('').split('\n')
  const codeLines = lines.filter((line) => line.trim() !== '' && !/^(import|\/\/)/.test(line.trim()))
  expect(codeLines.length).toBeLessThanOrEqual(30)
})

async function isUp(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/healthz`).then(
    (response) => response.ok,
    () => false,
  )
}
