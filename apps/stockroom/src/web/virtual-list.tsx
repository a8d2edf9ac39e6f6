import { useVirtualizer } from '@tanstack/react-virtual'
import { type CSSProperties, type ReactElement, type ReactNode, useRef } from 'react'

/** What `VirtualList` takes. */
export interface VirtualListProps<Row> {
  readonly rows: readonly Row[]
  /** Of each line, px. */
  readonly lineHeight: number
  readonly label: string
  readonly line: (row: Row, style: CSSProperties) => ReactNode
}

/** A list of any length, of which only what is seen is in the page. */
export function VirtualList<Row extends { readonly id: string }>(props: VirtualListProps<Row>): ReactElement {
  const { rows, lineHeight, label, line } = props
  const scroller = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => lineHeight,
    overscan: 10,
    getItemKey: (index) => rows[index]?.id ?? index,
  })
  return (
    <div ref={scroller} className="screen__body list" role="group" aria-label={label}>
      <div style={{ height: virtual.getTotalSize(), position: 'relative' }}>
        {virtual.getVirtualItems().map(({ index, start }) => {
          const row = rows[index]
          return row === undefined
            ? null
            : line(row, { height: lineHeight, transform: `translateY(${start}px)` })
        })}
      </div>
    </div>
  )
}
