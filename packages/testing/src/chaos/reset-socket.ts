import type { Socket } from 'node:net'

/**
 * Resets a connection (RST). One that is just being ended in order cannot be reset: Node 24 would neither end it nor
 * reset it, keep it for good, and turn in circles on it when the process is to end. It is closed instead.
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy()
  else socket.resetAndDestroy()
}
