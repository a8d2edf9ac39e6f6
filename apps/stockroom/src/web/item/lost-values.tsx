import type { LostValue } from '@holdfast/client'
import { Button, Group, Paper, Stack, Text, Title } from '@mantine/core'
import type { ReactElement } from 'react'

import { personName } from '../../warehouse/people.ts'
import { formatMoment, formatValue } from '../format.ts'
import { useMutation } from '../hooks.ts'
import { IconArrowBackUp } from '../icons.ts'
import { bringBack } from '../mutations.ts'
import type { Item } from '../queries.ts'

/** What lost to another value and is not what stands now: whose it was, by which rule, and the way back. */
export function LostValues(props: {
  readonly item: Item
  readonly lost: readonly LostValue[]
}): ReactElement | null {
  const { item, lost } = props
  const back = useMutation((db, value: LostValue) => bringBack(db, item.id, value))
  const standing = Object.entries(item).map(([field, value]) => `${field} ${formatValue(value)}`)
  const byText = new Map(lost.map((one) => [`${one.field} ${formatValue(one.value)}`, one]))
  const shown = [...byText].filter(([text]) => !standing.includes(text))
  if (shown.length === 0) return null
  return (
    <Paper p="sm" mb="md" bg="var(--holdfast-raised)" component="section" aria-label="Values that lost">
      <Title order={4} size="sm" mb="xs">
        Values that lost
      </Title>
      <Stack gap="xs">
        {shown.map(([text, value]) => (
          <Group key={text} justify="space-between" wrap="nowrap">
            <div>
              <Text size="sm" className="number">
                {text}
              </Text>
              <Text size="xs" c="dimmed">
                {personName(value.user)}, {formatMoment(value.at)}. {value.explanation}
              </Text>
            </div>
            <Button
              size="compact-sm"
              variant="default"
              flex="none"
              leftSection={<IconArrowBackUp size={15} />}
              aria-label={`Bring back ${text}`}
              onClick={() => back.mutate(value)}
            >
              Bring back
            </Button>
          </Group>
        ))}
      </Stack>
      {back.error === null ? null : (
        <Text size="sm" c="red" role="alert">
          {back.error.message}
        </Text>
      )}
    </Paper>
  )
}
