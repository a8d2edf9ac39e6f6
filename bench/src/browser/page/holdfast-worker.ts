import { serveClient } from '@holdfast/client/browser-worker'

import { schema } from '../../ours/schema.ts'

serveClient({ schema })
