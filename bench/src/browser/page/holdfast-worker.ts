import { indexedDbStorage, serveClient } from '@holdfast/client/browser-worker'

import { schema } from '../../ours/schema.ts'

// The name of the worker says where it keeps the database.
serveClient(self.name === 'indexed-db' ? { schema, storage: indexedDbStorage } : { schema })
