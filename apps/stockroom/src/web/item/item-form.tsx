import { Button, Group, NumberInput, Stack, TagsInput, Text, Textarea, TextInput } from '@mantine/core'
import type { FormEvent, ReactElement } from 'react'

import { useMutation } from '../hooks.ts'
import { IconCheck } from '../icons.ts'
import { editItem, type ItemEdit, retag } from '../mutations.ts'
import type { Item } from '../queries.ts'
import { type Draft, useDraft } from './use-draft.ts'

/** What can be edited of an item. */
export function ItemForm({ item }: { readonly item: Item }): ReactElement {
  const { draft, shown, edit, drop, save } = useDraft(item)
  const saving = useMutation((db, change: ItemEdit, seen: Draft) => editItem(db, item.id, change, seen))
  const tags = useMutation((db, after: readonly string[]) => retag(db, item.id, { before: item.tags, after }))
  const isPrice = draft.price === undefined || /^\d{1,6}([.,]\d{1,2})?$/.test(draft.price.trim())
  const isChanged = Object.keys(draft).length > 0
  const error = saving.error ?? tags.error
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    save((typed, seen) => {
      const price = typed.price?.trim().replace(',', '.')
      return saving.mutateAsync({ ...typed, ...(price !== undefined && { price }) }, seen)
    })
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Fields shown={shown} isPrice={isPrice} onEdit={edit} />
        <TagsInput
          label="Tags"
          value={[...item.tags]}
          onChange={(after) => tags.mutate(after)}
          maxTags={12}
          placeholder={item.tags.length === 0 ? 'Add a tag' : ''}
        />
        <Textarea
          label="Notes"
          autosize
          minRows={2}
          maxRows={8}
          value={shown.notes}
          onChange={(event) => edit({ notes: event.currentTarget.value })}
        />
        {error === null ? null : (
          <Text size="sm" c="red" role="alert">
            {error.message}
          </Text>
        )}
        <Group justify="flex-end" gap="xs">
          {isChanged ? (
            <Button variant="subtle" color="gray" onClick={drop}>
              Cancel
            </Button>
          ) : null}
          <Button type="submit" disabled={!isChanged || !isPrice} leftSection={<IconCheck size={18} />}>
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

interface FieldsProps {
  readonly shown: Pick<Item, 'price' | 'location' | 'minimum'>
  readonly isPrice: boolean
  readonly onEdit: (edit: Draft) => void
}

function Fields({ shown, isPrice, onEdit }: FieldsProps): ReactElement {
  return (
    <Group grow align="flex-start">
      <TextInput
        label="Price"
        leftSection="€"
        inputMode="decimal"
        value={shown.price}
        error={isPrice ? null : 'A price such as 12.50'}
        onChange={(event) => onEdit({ price: event.currentTarget.value })}
      />
      <TextInput
        label="Location"
        value={shown.location}
        onChange={(event) => onEdit({ location: event.currentTarget.value })}
      />
      <NumberInput
        label="At least"
        min={0}
        max={9_999}
        allowDecimal={false}
        value={shown.minimum}
        onChange={(minimum) => onEdit({ minimum: Math.round(Number(minimum)) || 0 })}
      />
    </Group>
  )
}
