import { spawn } from 'node:child_process'
import { closeSync, copyFileSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Job } from './contender.ts'
import type { Measurement } from './measurement.ts'

const entry = fileURLToPath(new URL('./run-job.ts', import.meta.url))
const jobTimeoutMs = 600_000

/**
 * Runs a job in a process of its own and in a new folder, which is removed afterwards unless the job makes a fixture.
 * The folder starts with synced copies of the fixture's files, so that no copying is left to be done while it is timed.
 */
export async function spawnJob(job: Job, fixture: string | undefined): Promise<Measurement> {
  rmSync(job.folder, { recursive: true, force: true })
  mkdirSync(job.folder, { recursive: true })
  if (fixture !== undefined) copySynced(fixture, job.folder)
  try {
    const text = await runToEnd(job)
    // The line is written by run-job.ts of the same checkout.
    return JSON.parse(text.trim().split('\n').at(-1) ?? '') as Measurement
  } finally {
    if (job.task !== 'fixture') rmSync(job.folder, { recursive: true, force: true })
  }
}

function copySynced(from: string, to: string): void {
  for (const name of readdirSync(from)) {
    copyFileSync(join(from, name), join(to, name))
    const file = openSync(join(to, name), 'r+')
    fsyncSync(file)
    closeSync(file)
  }
}

function runToEnd(job: Job): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, entry, JSON.stringify(job)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: jobTimeoutMs,
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output)
      else reject(new Error(`${job.side} of ${job.task} ended with ${signal ?? `exit code ${code}`}`))
    })
  })
}
