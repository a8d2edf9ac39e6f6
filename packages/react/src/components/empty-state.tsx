import type { ReactElement } from 'react'

import { Icon } from './icon.tsx'

/** Nothing to do here, said kindly. */
export function EmptyState({ title, hint }: { readonly title: string; readonly hint: string }): ReactElement {
  return (
    <div className="holdfast-nothing">
      <Icon name="check" />
      <p>
        <strong>{title}</strong>
        <span>{hint}</span>
      </p>
    </div>
  )
}
