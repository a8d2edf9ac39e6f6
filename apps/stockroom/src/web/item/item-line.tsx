import { UnstyledButton } from '@mantine/core'
import { RecordBadge } from '@holdfast/react'
import { type CSSProperties, memo } from 'react'

import { formatCount, formatPrice } from '../format.ts'
import type { Item } from '../queries.ts'

/** What a line of the list shows of an item. */
export interface ItemLineProps {
  readonly item: Pick<
    Item,
    'id' | 'name' | 'sku' | 'location' | 'price' | 'stock' | 'minimum' | 'tags' | '_state'
  >
  readonly style: CSSProperties
  readonly onOpen: (id: string) => void
}

/** One item in the list. Rows that did not change are the same objects, so that only what changed is drawn again. */
export const ItemLine = memo(
  function ItemLine({ item, style, onOpen }: ItemLineProps) {
    const { name, sku, location, price, stock, minimum, tags, _state } = item
    return (
      <UnstyledButton className="list__line" style={style} onClick={() => onOpen(item.id)}>
        <span style={{ minWidth: 0 }}>
          <span className="list__name">{name}</span>
          <span className="list__more number">
            <span>{location}</span>
            <span>{sku}</span>
            {tags.map((tag) => (
              <span key={tag}>#{tag}</span>
            ))}
          </span>
        </span>
        {_state === 'clean' ? <span /> : <RecordBadge state={_state} />}
        <span className="list__stock number" data-low={stock < minimum || undefined}>
          {formatCount(stock)}
          <small>{formatPrice(price)}</small>
        </span>
      </UnstyledButton>
    )
  },
  (before, after) =>
    before.item === after.item &&
    before.style.transform === after.style.transform &&
    before.onOpen === after.onOpen,
)
