import type { ReactElement } from 'react'

/** The drawings, on a grid of 16. Every state has a shape of its own, so that colour is never all that tells them apart. */
const paths = {
  check: 'M3 8.5 6.5 12 13 4.5',
  clock: 'M8 4.5V8l2.5 1.5M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0',
  up: 'M8 13V3M4 7l4-4 4 4',
  split: 'M8 14V9M8 9 3.5 4.5M8 9l4.5-4.5M3 8V4h4M13 8V4H9',
  stop: 'M5.5 5.5l5 5m0-5-5 5M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0',
  cut: 'M2 2l12 12M5 12h6.5a2.5 2.5 0 0 0 1.8-4.2M4.2 5.3A3.4 3.4 0 0 0 4.5 12M7 4.2A4 4 0 0 1 12 7',
  sync: 'M13 3v3.5H9.5M3 13V9.5h3.5M12.6 6.5A5 5 0 0 0 4 4.8M3.4 9.5A5 5 0 0 0 12 11.2',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  down: 'M8 3v10M4 9l4 4 4-4',
} as const

/** Name of a drawing. */
export type IconName = keyof typeof paths

/** A drawing beside a text that says the same: hidden from whoever listens. */
export function Icon({
  name,
  className,
}: {
  readonly name: IconName
  readonly className?: string
}): ReactElement {
  return (
    <svg
      className={`holdfast-icon ${className ?? ''}`}
      viewBox="0 0 16 16"
      aria-hidden="true"
      focusable="false"
    >
      <path d={paths[name]} />
    </svg>
  )
}
