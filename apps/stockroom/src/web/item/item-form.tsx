import { Button, Group, NumberInput, Stack, TagsInput, Text, Textarea, TextInput } from '@mantine/core'
import { type FormEvent, type ReactElement, useState } from 'react'

import { useMutation } from '../hooks.ts'
import { IconCheck } from '../icons.ts'
import { editItem, type ItemEdit, retag } from '../mutations.ts'
import type { Item } from '../queries.ts'

type Draft = Partial<Pick<Item, 'price' | 'location' | 'minimum' | 'notes'>>

/** What can be edited of an item. What somebody else changes meanwhile shows at once, unless it is being edited here. */
export function ItemForm({ item }: { readonly item: Item }): ReactElement {
  const { draft, isChanged, edit, drop, keepUntil } = useDraft(item)
  const save = useMutation((db, change: ItemEdit) => editItem(db, item.id, change))
  const tags = useMutation((db, after: readonly string[]) => retag(db, item.id, { before: item.tags, after }))
  const isPrice = draft.price === undefined || /^\d{1,6}([.,]\d{1,2})?$/.test(draft.price.trim())
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    const price = draft.price?.trim().replace(',', '.')
    keepUntil(save.mutateAsync({ ...draft, ...(price !== undefined && { price }) }))
  }
  const shown = { ...item, ...draft }
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
        {save.error === null ? null : (
          <Text size="sm" c="red" role="alert">
            {save.error.message}
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

interface DraftHandle {
  readonly draft: Draft
  readonly isChanged: boolean
  readonly edit: (change: Draft) => void
  readonly drop: () => void
  /** It is being stored: it is shown until the row that holds it comes, and stays where it could not be stored. */
  readonly keepUntil: (stored: Promise<unknown>) => void
}

/** What is typed over an item. */
function useDraft(item: Item): DraftHandle {
  const [draft, setDraft] = useState<Draft>({})
  const [savedOver, setSavedOver] = useState<Item | null>(null)
  if (savedOver !== null && savedOver !== item) {
    setSavedOver(null)
    setDraft({})
  }
  return {
    draft,
    isChanged: savedOver === null && Object.keys(draft).length > 0,
    edit: (change) => {
      setSavedOver(null)
      setDraft({ ...draft, ...change })
    },
    drop: () => setDraft({}),
    keepUntil: (stored) => {
      setSavedOver(item)
      stored.catch(() => setSavedOver(null))
    },
  }
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
