import type { ComponentType } from 'react'

/** One icon. The package types its icons only all together, which takes seconds to read. */
declare const icon: ComponentType<{
  readonly size?: number | string
  readonly stroke?: number
  readonly className?: string
}>
export default icon
