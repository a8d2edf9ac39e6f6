import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  type Client,
  type ClientOptions,
  openClient,
  type SqliteDriver,
  type SyncOptions,
} from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import type { Schema } from '@holdfast/core'

import { createFakeServer, type FakeServer } from '../fake-server/fake-server.ts'
import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'
import { type PhotoSchema, photoSchema } from './photo-schema.ts'

/** A device with photos. */
export type PhotoClient = Client<PhotoSchema>

/** How a device differs from a fresh one of ann in memory that syncs when told to. */
export interface PhotoDevice {
  readonly user?: string
  readonly storage?: SqliteDriver
  readonly sync?: SyncOptions
  readonly auth?: ClientOptions<Schema>['auth']
}

/** A request as it was asked. */
export interface Asked {
  /** Such as `PATCH 0` or `GET bytes=0-9`; the offset or the range with it. */
  readonly what: string
  readonly bodyBytes: number
}

/** A server, a clock, and devices; every request for bytes is noted. */
export interface PhotoWorld {
  readonly env: VirtualEnvironment
  readonly server: FakeServer
  readonly asked: Asked[]
  open(device?: PhotoDevice): Promise<PhotoClient>
  /** One cycle, and all that follows from it without waiting. */
  sync(db: PhotoClient): Promise<void>
  path(name: string): string
  close(): Promise<void>
}

/** Makes a world in which ann and bob see warehouse one. */
export function createPhotoWorld(): PhotoWorld {
  const env = createVirtualEnvironment({ seed: 3 })
  const server = createFakeServer({ schema: photoSchema, env, scopes: { ann: ['w:w1'], bob: ['w:w1'] } })
  const asked: Asked[] = []
  env.connect(async (request) => {
    const { pathname } = new URL(request.url)
    if (pathname.includes('/attachments')) {
      const at = request.headers.get(request.method === 'GET' ? 'Range' : 'Upload-Offset')
      const { byteLength } = await request.clone().arrayBuffer()
      asked.push({ what: [request.method, at].filter(Boolean).join(' '), bodyBytes: byteLength })
    }
    return server.fetch(request)
  })
  const clients: PhotoClient[] = []
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-photos-'))
  return {
    env,
    server,
    asked,
    open: async ({ user = 'ann', auth = user, storage = sqliteStorage(':memory:'), sync } = {}) => {
      const options = { schema: photoSchema, storage, server: 'https://photos.example', auth, env }
      const db = await openClient({ ...options, durability: 'fast', sync: { auto: false, ...sync } })
      clients.push(db)
      return db
    },
    sync: async (db) => {
      await env.complete(db.sync.now())
      await settle(env)
    },
    path: (name) => join(folder, name),
    close: async () => {
      for (const db of clients) {
        db.close().catch(() => undefined)
        await env.settle()
      }
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Lets everything happen that needs no time. */
export async function settle(env: VirtualEnvironment): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await env.settle()
}

/** So many bytes that repeat nowhere near. */
export function photoOf(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size)
  let state = seed
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[at] = state >>> 16
  }
  return bytes
}
