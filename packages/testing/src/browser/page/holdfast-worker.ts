import { serveClient } from '@holdfast/client/browser-worker'

import { shopSchema } from '../../end-to-end/shop-schema.ts'

// The name of a worker says which version of the app it is of.
serveClient({ schema: { ...shopSchema, version: Number(self.name) || 1 } })
