import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import type { ReactElement } from 'react'

import { useMutation } from '../hooks.ts'
import { IconTrash } from '../icons.ts'
import { removeItem } from '../mutations.ts'
import type { Item } from '../queries.ts'

/** Removes an item from the warehouse, after a question. */
export function RemoveItem(props: { readonly item: Item; readonly onRemoved: () => void }): ReactElement {
  const { item, onRemoved } = props
  const [isAsking, asking] = useDisclosure()
  const { mutate, error } = useMutation(async (db) => {
    await removeItem(db, item.id)
    onRemoved()
  })
  return (
    <>
      <Button
        variant="subtle"
        color="red"
        style={{ alignSelf: 'flex-start' }}
        leftSection={<IconTrash size={18} />}
        onClick={asking.open}
      >
        Remove this item…
      </Button>
      <Modal
        opened={isAsking}
        onClose={asking.close}
        title={<Text fw={650}>Remove this item?</Text>}
        closeButtonProps={{ 'aria-label': 'Close' }}
        centered
      >
        <Stack>
          <Text>
            <strong>{item.name}</strong> is removed for everybody; its movements stay. If somebody has edited
            it meanwhile, a person is asked whether it goes.
          </Text>
          {error === null ? null : (
            <Text size="sm" c="red" role="alert">
              {error.message}
            </Text>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={asking.close}>
              Keep it
            </Button>
            <Button color="red" onClick={() => mutate()}>
              Remove
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}
