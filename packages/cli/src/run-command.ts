import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'

import { ignoreClosedOutput } from './closed-output.ts'
import { CommandError, firstLine } from './command-error.ts'
import type { GivenOptions } from './given-options.ts'
import { helpText, versionText } from './help.ts'
import { standardOutput } from './output.ts'

const options = {
  schema: { type: 'string' },
  port: { type: 'string' },
  host: { type: 'string' },
  data: { type: 'string' },
  database: { type: 'string' },
  tables: { type: 'string' },
  'dry-run': { type: 'boolean' },
  scopes: { type: 'string' },
  verbose: { type: 'boolean' },
  json: { type: 'boolean' },
  minutes: { type: 'string' },
  devices: { type: 'string' },
  offline: { type: 'string' },
  edits: { type: 'string' },
  days: { type: 'string' },
  seed: { type: 'string' },
  seeds: { type: 'string' },
  faults: { type: 'string' },
  concurrency: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const

interface Command {
  readonly takes: readonly (keyof GivenOptions)[]
  readonly positionals: number
  /** Where an option of this command takes something else than that of another. */
  readonly options?: ParseArgsOptionsConfig
  readonly run: (given: GivenOptions, positionals: readonly string[]) => Promise<number>
}

/** Loaded when they are run: whoever asks for the version does not wait for a server to load. */
const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  [
    'dev',
    {
      takes: ['schema', 'port', 'data', 'scopes', 'verbose'],
      positionals: 0,
      run: async (given) => (await import('./dev.ts')).runDev(given),
    },
  ],
  [
    'doctor',
    {
      takes: ['schema', 'data', 'database', 'tables'],
      positionals: 0,
      run: async (given) => (await import('./doctor.ts')).runDoctor(given, standardOutput()),
    },
  ],
  [
    'migrate',
    {
      takes: ['schema', 'database', 'tables', 'dry-run'],
      positionals: 0,
      run: async (given) => (await import('./migrate.ts')).runMigrate(given, standardOutput()),
    },
  ],
  [
    'reconcile',
    {
      takes: ['schema', 'database', 'tables', 'dry-run'],
      positionals: 0,
      run: async (given) => (await import('./reconcile.ts')).runReconcile(given, standardOutput()),
    },
  ],
  [
    'inspect',
    {
      takes: ['json'],
      positionals: 1,
      run: async ({ json }, [folder]) =>
        (await import('./inspect.ts')).runInspect({ json: json === true, folder }, standardOutput()),
    },
  ],
  [
    'simulate',
    {
      takes: ['schema', 'minutes', 'seeds', 'seed', 'devices', 'days', 'edits', 'offline', 'faults', 'json'],
      positionals: 0,
      options: { json: { type: 'string' } },
      run: async (given) => (await import('./simulate.ts')).runSimulate(given, standardOutput()),
    },
  ],
  [
    'serve',
    {
      takes: ['port', 'host', 'verbose'],
      positionals: 1,
      run: async (given, [file]) => (await import('./serve.ts')).runServe(given, file),
    },
  ],
  [
    'worker',
    {
      takes: ['concurrency', 'port', 'verbose'],
      positionals: 1,
      run: async (given, [file]) => (await import('./worker.ts')).runWorker(given, file),
    },
  ],
])

/** The `holdfast` command: arguments without the program's name; resolves with the exit code. Rules: OP-20 to OP-39. */
export async function runCommand(args: readonly string[]): Promise<number> {
  ignoreClosedOutput()
  try {
    return await dispatch(args)
  } catch (error) {
    process.stderr.write(`holdfast: ${firstLine(error)}\n`)
    return 1
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(args)
  const [name, ...rest] = positionals
  if (values.version) return print(versionText())
  if (values.help || name === undefined || name === 'help') {
    const topic = name === 'help' ? rest[0] : name
    if (topic !== undefined && !commands.has(topic)) throw unknownCommand(topic)
    return print(helpText(topic))
  }
  if (name === 'version') return print(versionText())
  const command = commands.get(name)
  if (!command) throw unknownCommand(name)
  for (const option of Object.keys(values)) {
    if (!command.takes.some((taken) => taken === option)) {
      throw new CommandError(`${name} takes no --${option}. Try: holdfast help ${name}`)
    }
  }
  if (rest.length > command.positionals) {
    throw new CommandError(
      `${name} does not know what to do with "${rest[command.positionals]}". Try: holdfast help ${name}`,
    )
  }
  return command.run(values, rest)
}

function readArguments(args: readonly string[]): { values: GivenOptions; positionals: readonly string[] } {
  try {
    const command = commands.get(args.find((each) => !each.startsWith('-')) ?? '')
    const all = { ...options, ...command?.options }
    return parseArgs({ args: [...args], options: all, allowPositionals: true, strict: true })
  } catch (cause) {
    throw new CommandError(`${firstLine(cause).replace(/\. To specify.*$/, '.')} Try: holdfast help`, {
      cause,
    })
  }
}

function unknownCommand(name: string): CommandError {
  return new CommandError(
    `there is no command "${name}". Commands: ${[...commands.keys()].join(', ')}, help, version.`,
  )
}

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
}
