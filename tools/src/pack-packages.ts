/**
 * `npm run pack -- [FOLDER]`: builds every package and packs it into FOLDER (dist unless said) as npm publishes and
 * installs it: JavaScript and declarations instead of sources, and the exports of `publishConfig`.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { listFiles, readRepositoryFile, repositoryRoot } from './source-files.ts'

type Manifest = {
  exports: Record<string, unknown>
  publishConfig: { exports?: Record<string, unknown> }
  devDependencies?: Record<string, string>
}

const target = resolve(process.argv[2] ?? join(repositoryRoot, 'dist'))
const stage = mkdtempSync(join(tmpdir(), 'holdfast-pack-'))
try {
  mkdirSync(target, { recursive: true })
  run('tsc', ['-b', 'packages/cli'])
  const folders = readdirSync(join(repositoryRoot, 'packages')).map((name) => prepare(name))
  run('npm', ['pack', ...folders, '--pack-destination', target])
} finally {
  rmSync(stage, { recursive: true, force: true })
}

/** A folder with what is published of a package, and nothing else. */
function prepare(name: string): string {
  const source = join(repositoryRoot, 'packages', name)
  const folder = join(stage, name)
  mkdirSync(folder)
  const emit = ['--emitDeclarationOnly', 'false', '--composite', 'false', '--incremental', 'false']
  run('tsc', ['-p', source, ...emit, '--outDir', join(folder, 'dist')])
  for (const sheet of listFiles(`packages/${name}/src`, (path) => path.endsWith('.css')))
    cpSync(join(repositoryRoot, sheet), join(folder, sheet.replace(`packages/${name}/src`, 'dist')))
  const readme = join(source, 'README.md')
  if (existsSync(readme)) cpSync(readme, join(folder, 'README.md'))
  const bin = join(source, 'bin')
  if (existsSync(bin)) cpSync(bin, join(folder, 'bin'), { recursive: true })
  cpSync(join(repositoryRoot, 'LICENSE'), join(folder, 'LICENSE'))
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(publishedManifest(name), null, 2)}\n`)
  return folder
}

function publishedManifest(name: string): Manifest {
  // Our own manifest.
  const manifest = JSON.parse(readRepositoryFile(`packages/${name}/package.json`)) as Manifest
  const { exports, ...publishConfig } = manifest.publishConfig
  if (exports === undefined) throw new Error(`packages/${name} does not say what it exports when published`)
  return { ...manifest, exports, publishConfig, devDependencies: undefined }
}

function run(command: string, args: readonly string[]): void {
  const { status } = spawnSync(command, args, { cwd: repositoryRoot, stdio: 'inherit' })
  if (status !== 0) throw new Error(`${command} ${args[0] ?? ''} failed`)
}
