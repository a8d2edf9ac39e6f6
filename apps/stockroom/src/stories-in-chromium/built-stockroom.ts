import { inject } from 'vitest'

import { type BuiltApp, readApp } from '../warehouse/web-app.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the built app lies. */
    stockroom: string
  }
}

/** The app as it was built for this run. */
export function builtStockroom(): Promise<BuiltApp> {
  return readApp(inject('stockroom'))
}
