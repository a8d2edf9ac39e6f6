import type { ComponentType } from 'react'

/** One icon. */
export type IconComponent = ComponentType<{
  readonly size?: number | string
  readonly stroke?: number
  readonly className?: string
}>

/** What each module of the icons gives, for the compiler: the package types them only all together, which takes seconds to read. */
declare const icon: IconComponent
export default icon
