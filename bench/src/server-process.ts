import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Server, Socket } from 'node:net'

/** What a server process counted since it was started, at the socket and in the bodies of pushes. */
interface Traffic {
  /** Everything devices sent, as it arrived: request lines, headers and bodies. */
  readonly bytesReceived: number
  /** Bodies of pushes as they arrived. */
  readonly pushBytes: number
  /** The same bodies with their compression undone. */
  readonly pushBytesPlain: number
}

/** A server process as the contender that started it sees it. */
export interface RunningServer {
  readonly url: string
  traffic(): Promise<Traffic>
  /** Asks it to close its store, and resolves when it has ended. */
  stop(): Promise<void>
}

/** What a server process is told; it reads them with `serverArguments`. */
export interface ServerArguments {
  /** Its database file. */
  readonly file: string
  readonly port: number
  /** Whether it counts the bodies of pushes, which costs time. */
  readonly isCounting: boolean
}

/** Starts `entry` as a process of its own; resolves when it listens. */
export async function startServer(entry: URL, told: ServerArguments): Promise<RunningServer> {
  const child = fork(entry, [JSON.stringify(told)])
  await nextMessage(child)
  return {
    url: `http://127.0.0.1:${told.port}`,
    async traffic() {
      child.send('traffic')
      return nextMessage(child)
    },
    async stop() {
      child.disconnect()
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}

function nextMessage(child: ChildProcess): Promise<Traffic> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void =>
      reject(new Error(`the server process ended with code ${code}`))
    child.once('exit', onExit)
    child.once('message', (message) => {
      child.off('exit', onExit)
      // The only messages a server process sends are those of hostServer.
      resolve(message as Traffic)
    })
  })
}

/** What `hostServer` takes. */
export interface HostedServer {
  readonly server: Server
  /** Raised by whoever reads the pushes. */
  readonly counts: { pushBytes: number; pushBytesPlain: number }
  /** Closes the store. */
  readonly close: () => Promise<void> | void
}

/** In the server process: listens, answers its parent, and closes when the parent disconnects. */
export function hostServer({ server, counts, close }: HostedServer): void {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  const traffic = (): Traffic => ({
    bytesReceived: [...sockets].reduce((sum, socket) => sum + socket.bytesRead, 0),
    ...counts,
  })
  process.on('message', () => process.send?.(traffic()))
  process.on('disconnect', () => {
    server.close()
    for (const socket of sockets) socket.destroy()
    void Promise.resolve(close()).then(() => process.exit(0))
  })
  server.listen(serverArguments().port, '127.0.0.1', () => process.send?.(traffic()))
}

/** What `startServer` told this process. */
export function serverArguments(): ServerArguments {
  // Written by startServer of the same checkout.
  return JSON.parse(process.argv[2] ?? '') as ServerArguments
}
