import { Divider, Drawer, Group, Stack, Text } from '@mantine/core'
import { ConflictCard, RecordBadge } from '@holdfast/react'
import { type ReactElement, useState } from 'react'

import { useConflicts, useRecord } from '../hooks.ts'
import type { Item } from '../queries.ts'
import { ItemForm } from './item-form.tsx'
import { ItemHistory } from './item-history.tsx'
import { ItemPhoto } from './item-photo.tsx'
import { RemoveItem } from './remove-item.tsx'
import { StockStepper } from './stock-stepper.tsx'

/** Everything about one item: its stock to change, its fields to edit, what is in question, and what happened to it. */
export function ItemDrawer(props: {
  readonly id: string | null
  readonly onClose: () => void
}): ReactElement {
  const { record: found, status } = useRecord('items', props.id)
  const [last, setLast] = useState<Item>()
  if (found !== undefined && found !== last) setLast(found)
  // What was typed into the form of an item stays on the page when somebody else removes the item.
  const record = found ?? (last?.id === props.id ? last : undefined)
  const isGone = found === undefined && props.id !== null && status === 'ready'
  return (
    <Drawer
      opened={props.id !== null}
      onClose={props.onClose}
      position="right"
      size={460}
      title={record === undefined ? null : <Heading item={record} />}
      closeButtonProps={{ 'aria-label': 'Close' }}
      styles={{ title: { flex: 1, minWidth: 0 } }}
    >
      {isGone ? (
        <Text c="dimmed" role="status" mb={record === undefined ? 0 : 'md'}>
          This item was removed from the warehouse.
        </Text>
      ) : null}
      {record === undefined ? null : <ItemDetails key={record.id} item={record} onRemoved={props.onClose} />}
    </Drawer>
  )
}

function Heading({ item }: { readonly item: Item }): ReactElement {
  const { conflicts } = useConflicts({ record: item.id, status: 'open' })
  // A row in whose dispute this device has no part has nothing unsettled of its own, and is no less in question.
  const isInQuestion = conflicts.length > 0 && item._state !== 'failed'
  return (
    <span>
      <Text fw={650} lh={1.25}>
        {item.name}
      </Text>
      <Group gap={8} mt={4}>
        <Text size="sm" c="dimmed">
          {item.sku} · {item.category}
        </Text>
        <RecordBadge state={isInQuestion ? 'conflicted' : item._state} />
      </Group>
    </span>
  )
}

function ItemDetails(props: { readonly item: Item; readonly onRemoved: () => void }): ReactElement {
  const { item, onRemoved } = props
  const { conflicts } = useConflicts({ record: item.id, status: 'all' })
  // Whatever may have added to the history.
  const moment = [item._version, ...conflicts.map(({ status }) => status)].join(' ')
  return (
    <Stack gap="lg">
      {conflicts
        .filter(({ status }) => status === 'open')
        .map((conflict) => (
          <div key={conflict.id} className="question">
            <ConflictCard conflict={conflict} title="Two people changed this" />
          </div>
        ))}
      <StockStepper item={item} />
      <ItemPhoto item={item} />
      <ItemForm item={item} />
      <Divider />
      <ItemHistory item={item} moment={moment} />
      <RemoveItem item={item} onRemoved={onRemoved} />
    </Stack>
  )
}
