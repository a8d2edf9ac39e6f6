import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { findProgram } from '../services/debian-package.ts'
import { freePort } from '../services/free-port.ts'
import { ServerProcess, temporaryFolder } from '../services/server-process.ts'
import { unprivilegedUser } from '../services/unprivileged-user.ts'

/** An nginx in front of a server. */
export interface Nginx {
  readonly url: string
  stop(): Promise<void>
}

/** Starts one that is told nothing but where the server is, and `settings` of its location. */
export async function startNginx(upstream: string, settings: readonly string[] = []): Promise<Nginx> {
  const path = findProgram({ name: 'nginx', debianPackage: 'nginx' })
  const user = unprivilegedUser()
  const folder = await temporaryFolder('nginx', user)
  const port = await freePort()
  const config = join(folder, 'nginx.conf')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder};`,
  )
  writeFileSync(
    config,
    `daemon off; pid ${folder}/pid; error_log stderr notice;
events {}
http {
  access_log off; ${temporary.join(' ')}
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass ${upstream};
      ${settings.map((setting) => `${setting};`).join('\n      ')}
    }
  }
}`,
  )
  const server = new ServerProcess({
    path,
    args: ['-c', config, '-p', folder, '-e', 'stderr'],
    ready: /start worker process/,
    stopSignal: 'SIGTERM',
    orphanSignal: 'QUIT',
    folder,
    user,
  })
  await server.start()
  return { url: `http://127.0.0.1:${port}`, stop: () => server.remove() }
}
