import type { ReactElement } from 'react'

import type { ErrorInfo } from '../error-info.ts'
import { useHoldfast } from '../holdfast-context.ts'

/** What went wrong with an action, read out at once. */
export function ActionError({ error }: { readonly error: ErrorInfo | null }): ReactElement | null {
  const { labels } = useHoldfast()
  if (error === null) return null
  return (
    <p role="alert" className="holdfast-alert">
      {labels.error(error.code, error.message)}
      {error.code === null ? null : <code className="holdfast-code">{error.code}</code>}
    </p>
  )
}
