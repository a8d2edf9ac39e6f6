import { serveClient } from '@holdfast/client/browser-worker'

import { shopSchema } from '../../end-to-end/shop-schema.ts'
import { photoSchema } from '../../scenarios/photo-schema.ts'

// The name of a worker says which version of the app it is of, or which other app, and whether its browser has a file system.
const [version, hasFiles] = self.name.split(' ')
if (hasFiles === 'without-files')
  Reflect.deleteProperty(FileSystemFileHandle.prototype, 'createSyncAccessHandle')
if (version === 'photos') serveClient({ schema: photoSchema })
else serveClient({ schema: { ...shopSchema, version: Number(version) || 1 } })
