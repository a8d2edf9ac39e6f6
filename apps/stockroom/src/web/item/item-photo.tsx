import { Button, FileButton, Group, Stack, Text } from '@mantine/core'
import type { ReactElement } from 'react'

import { formatPercent } from '../format.ts'
import { useAttachment, useMutation, useUploads } from '../hooks.ts'
import { IconCamera } from '../icons.ts'
import { putPhoto, removePhoto } from '../mutations.ts'
import type { Item } from '../queries.ts'
import { shrinkPhoto } from './shrink-photo.ts'

/** The photo of an item. It is stored here at once, and sent on its own: nothing else waits for it. */
export function ItemPhoto({ item }: { readonly item: Item }): ReactElement {
  const put = useMutation(async (db, file: File) => putPhoto(db, item.id, await shrinkPhoto(file)))
  const remove = useMutation((db) => removePhoto(db, item.id))
  const error = put.error ?? remove.error
  const take = (file: File | null): void => {
    if (file !== null) put.mutate(file)
  }
  return (
    <Stack gap="xs">
      {item.photo === null ? null : <Photo item={item} photo={item.photo} />}
      <Group gap="xs">
        <FileButton accept="image/*" onChange={take} inputProps={{ 'aria-label': 'Photo of the item' }}>
          {(props) => (
            <Button {...props} variant="default" size="xs" leftSection={<IconCamera size={16} />}>
              {item.photo === null ? 'Add a photo' : 'Another photo'}
            </Button>
          )}
        </FileButton>
        {item.photo === null ? null : (
          <Button variant="subtle" color="gray" size="xs" onClick={() => remove.mutate()}>
            Remove photo
          </Button>
        )}
      </Group>
      {error === null ? null : (
        <Text size="sm" c="red" role="alert">
          {error.message}
        </Text>
      )}
    </Stack>
  )
}

interface PhotoProps {
  readonly item: Item
  readonly photo: NonNullable<Item['photo']>
}

function Photo({ item, photo }: PhotoProps): ReactElement {
  const { url, error } = useAttachment({ collection: 'items', record: item.id }, photo)
  const { uploads } = useUploads()
  const upload = uploads.find(({ record, hash }) => record === item.id && hash === photo.hash)
  return (
    <figure className="photo">
      {url === null ? (
        <div className="photo__place">{error === null ? null : whyNot(error.code)}</div>
      ) : (
        <img src={url} alt={item.name} />
      )}
      {upload === undefined ? null : (
        <figcaption>Only on this device so far · {formatPercent(upload.sent / upload.size)} sent</figcaption>
      )}
    </figure>
  )
}

function whyNot(code: string | null): string {
  if (code === 'ATTACHMENT_MISSING') return 'The photo comes once the device that took it has sent it.'
  return 'The photo comes once this device is online.'
}
