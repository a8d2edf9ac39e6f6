import { serveClient } from '@holdfast/client/browser-worker'

import { schema } from '../warehouse/schema.ts'
import { environmentOf } from './worker-network.ts'

serveClient({ schema, env: environmentOf(self.name) })
