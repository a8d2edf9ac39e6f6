import { serveClient } from '@holdfast/client/browser-worker'

import { shopSchema } from '../../end-to-end/shop-schema.ts'

serveClient({ schema: shopSchema })
