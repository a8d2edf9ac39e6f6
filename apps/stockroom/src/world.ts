import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { AnswerGate } from './answer-gate.ts'
import { type Catalogue, readCatalogue } from './catalogue.ts'
import { type Device, openDevice } from './devices.ts'
import { importCatalogue } from './import-catalogue.ts'
import { type LibraryServer, startLibraryServer } from './library-server.ts'
import { ServerView } from './server-view.ts'
import { TokenOffice } from './tokens.ts'

/** A server with the whole catalogue and a folder of its own; devices come to it. */
export interface World {
  readonly catalogue: Catalogue
  readonly folder: string
  readonly server: LibraryServer
  readonly view: ServerView
  readonly office: TokenOffice
  readonly gate: AnswerGate
  /** Opens a person's device on its file. Whoever opens the same device again closes it first. */
  openDevice(who: 'ana' | 'ben', options?: { auto: boolean }): Promise<Device>
  /** Closes the devices and the server, and removes every file. */
  end(): Promise<void>
}

const auditor = { id: 'auditor' }

/** Starts a server on a fresh SQLite file in a temporary folder and loads the catalogue into it. */
export async function openWorld({ port }: { port: number | null }): Promise<World> {
  const catalogue = await readCatalogue()
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-stockroom-'))
  const removeFiles = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('exit', removeFiles)
  const storePath = join(folder, 'server.sqlite')
  const office = new TokenOffice()
  const gate = new AnswerGate()
  const server = await startLibraryServer({ storePath, port: port ?? 0, office, gate })
  importCatalogue(storePath, catalogue.films)
  const devices: Device[] = []
  return {
    catalogue,
    folder,
    server,
    office,
    gate,
    view: new ServerView(server.url, () => office.issue(auditor)),
    openDevice: async (who, { auto } = { auto: false }) => {
      const device = await openDevice(who, { folder, url: server.url, office, auto })
      devices.push(device)
      return device
    },
    end: async () => {
      for (const device of devices) await device.db.close()
      await server.close()
      removeFiles()
      process.off('exit', removeFiles)
    },
  }
}
