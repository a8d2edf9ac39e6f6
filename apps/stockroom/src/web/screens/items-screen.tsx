import { CloseButton, Group, SegmentedControl, Select, Text, TextInput } from '@mantine/core'
import { type ReactElement, useDeferredValue, useState } from 'react'

import { formatCount } from '../format.ts'
import { useLiveQuery } from '../hooks.ts'
import { IconSearch } from '../icons.ts'
import { ItemDrawer } from '../item/item-drawer.tsx'
import { ItemLine } from '../item/item-line.tsx'
import { type ItemFilter, itemList } from '../queries.ts'
import { VirtualList } from '../virtual-list.tsx'

const categories = ['Electrical', 'Fasteners', 'Paint', 'Plumbing', 'Tools']
const everything: ItemFilter = { search: '', category: null, tag: null, show: 'all' }

/** All items: found by any word of their name, number or place. */
export function ItemsScreen(): ReactElement {
  const [filter, setFilter] = useState(everything)
  const [open, setOpen] = useState<string | null>(null)
  const { rows, status } = useLiveQuery(itemList(useDeferredValue(filter)), { keepPrevious: true })
  return (
    <section className="screen">
      <div className="screen__head">
        <Search value={filter.search} onChange={(search) => setFilter({ ...filter, search })} />
        <Filters filter={filter} onChange={setFilter} />
        <Text size="sm" c="dimmed" className="number" role="status">
          {status === 'pending'
            ? 'Looking…'
            : `${formatCount(rows.length)} ${rows.length === 1 ? 'item' : 'items'}`}
        </Text>
      </div>
      <VirtualList
        label="Items"
        rows={rows}
        lineHeight={68}
        line={(item, style) => <ItemLine key={item.id} item={item} style={style} onOpen={setOpen} />}
      />
      <ItemDrawer id={open} onClose={() => setOpen(null)} />
    </section>
  )
}

function Search(props: { readonly value: string; readonly onChange: (value: string) => void }): ReactElement {
  return (
    <TextInput
      size="md"
      aria-label="Search items"
      placeholder="Name, number or place"
      leftSection={<IconSearch size={18} />}
      value={props.value}
      onChange={(event) => props.onChange(event.currentTarget.value)}
      rightSection={
        props.value === '' ? null : (
          <CloseButton aria-label="Clear the search" onClick={() => props.onChange('')} />
        )
      }
    />
  )
}

function Filters(props: {
  readonly filter: ItemFilter
  readonly onChange: (filter: ItemFilter) => void
}): ReactElement {
  const { filter, onChange } = props
  return (
    <Group gap="xs" wrap="nowrap">
      <SegmentedControl
        size="xs"
        aria-label="Which items"
        value={filter.show}
        onChange={(show) => onChange({ ...filter, show })}
        data={[
          { label: 'All', value: 'all' },
          { label: 'Low', value: 'low' },
          { label: 'Unsent', value: 'unsent' },
        ]}
      />
      <Select
        size="xs"
        flex={1}
        maw={180}
        aria-label="Category"
        placeholder="Any category"
        clearable
        data={categories}
        value={filter.category}
        onChange={(category) => onChange({ ...filter, category })}
      />
      <Select
        size="xs"
        flex={1}
        maw={180}
        visibleFrom="xs"
        aria-label="Tag"
        placeholder="Any tag"
        clearable
        data={['bestseller', 'bulky', 'clearance', 'fragile', 'seasonal', 'two-person lift']}
        value={filter.tag}
        onChange={(tag) => onChange({ ...filter, tag })}
      />
    </Group>
  )
}
