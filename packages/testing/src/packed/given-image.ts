import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { parse } from 'yaml'

import { MissingService } from '../services/missing-service.ts'
import { unprivilegedUser } from '../services/unprivileged-user.ts'

const repository = fileURLToPath(new URL('../../../../', import.meta.url))
const imagePort = '8787'
const imageAddress = `127.0.0.1:${imagePort}`

interface ComposeFile {
  readonly services: Readonly<
    Record<
      string,
      { readonly command?: readonly string[]; readonly healthcheck?: { readonly test?: string[] } }
    >
  >
}

/** What a program said and how it ended. */
export interface Ran {
  readonly code: unknown
  readonly output: string
}

/**
 * What deploy/Dockerfile makes an image of, in a folder: the packages packed, installed where there was nothing, and the
 * files it copies. Its commands are run as a user who is not root and may write nowhere in it.
 */
export class GivenImage {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'holdfast-image-'))
  readonly dockerfile: string = readFileSync(join(repository, 'deploy/Dockerfile'), 'utf8')
  // Our own file; the schema it follows is checked elsewhere.
  readonly #compose = parse(readFileSync(join(repository, 'deploy/compose.yaml'), 'utf8'), {
    merge: true,
  }) as ComposeFile
  readonly #running: ChildProcess[] = []

  /** Builds it. Errors: MissingService, when what the packages depend on cannot be had. */
  build(): void {
    const packages = join(this.folder, 'packages')
    must(spawnSync('npm', ['run', 'pack', '--', packages], { cwd: repository, encoding: 'utf8' }))
    const copied = [...this.dockerfile.matchAll(/^COPY (deploy\/.+) \.\/$/gm)].flatMap(([, files = '']) =>
      files.split(' '),
    )
    for (const file of copied) cpSync(join(repository, file), join(this.folder, file.replace('deploy/', '')))
    const tarballs = readdirSync(packages).map((name) => `./packages/${name}`)
    const [, options = ''] = /npm install (.+?) \/packages\/\*\.tgz/.exec(this.dockerfile) ?? []
    const args = ['install', ...options.split(' '), '--prefer-offline', ...tarballs]
    const installed = spawnSync('npm', args, { cwd: this.folder, encoding: 'utf8' })
    if (/E(?:NOTFOUND|AI_AGAIN|CONNREFUSED|TIMEDOUT)/.test(installed.stderr))
      throw new MissingService('the registry of npm cannot be reached: packed packages are not tried')
    must(installed)
    rmSync(packages, { recursive: true })
    chmodSync(this.folder, 0o755)
  }

  /** The image's own command, or that of a service of the compose file, on another port. */
  command(service: string, port: number): readonly string[] {
    const own = /^CMD (\[.+\])$/m.exec(this.dockerfile)?.[1] ?? '[]'
    const command = this.#compose.services[service]?.command ?? readList(own)
    const told = command.map((part) => (part === imagePort ? String(port) : part))
    return told.includes(String(port)) || service === 'migrate' ? told : [...told, '--port', String(port)]
  }

  /** How the image, or a service of its own, says that it is well. */
  healthCheck(service: string, port: number): readonly string[] {
    const own = /HEALTHCHECK [^[]*CMD (\[.+\])$/m.exec(this.dockerfile)?.[1] ?? '[]'
    const [kind, ...test] = this.#compose.services[service]?.healthcheck?.test ?? ['CMD', ...readList(own)]
    if (kind !== 'CMD') throw new Error(`${service} has a health check of another kind: ${kind}`)
    return test.map((part) => part.replace(imageAddress, `127.0.0.1:${port}`))
  }

  /** Runs a command until its end. */
  async run(command: readonly string[], environment: Readonly<Record<string, string>>): Promise<Ran> {
    const process = this.start(command, environment)
    return { code: await process.ended, output: process.output() }
  }

  /** Starts a command. */
  start([name = '', ...args]: readonly string[], environment: Readonly<Record<string, string>>): Started {
    const path = [join(this.folder, 'node_modules/.bin'), dirname(process.execPath), '/usr/bin', '/bin']
    const child = spawn(name, args, {
      cwd: this.folder,
      env: { PATH: path.join(delimiter), NODE_ENV: 'production', ...environment },
      ...unprivilegedUser(),
    })
    this.#running.push(child)
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    return {
      child,
      output: () => output,
      ended: once(child, 'close').then(([code]: unknown[]) => code),
    }
  }

  /** Ends what runs, and removes it. */
  async remove(): Promise<void> {
    for (const child of this.#running) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'close')
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A program that was started. */
export interface Started {
  readonly child: ChildProcess
  readonly output: () => string
  /** Its exit code, once it has ended. */
  readonly ended: Promise<unknown>
}

/** Waits for something that will be said. Errors: when the program ends before. */
export async function untilSaid({ output, child }: Started, text: RegExp): Promise<void> {
  while (!text.test(output())) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${output()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function readList(text: string): readonly string[] {
  // In Docker's exec form a command is JSON.
  return JSON.parse(text) as readonly string[]
}

function must({ status, stderr, stdout }: { status: number | null; stderr: string; stdout: string }): void {
  if (status !== 0) throw new Error(`${stdout}${stderr}`)
}
