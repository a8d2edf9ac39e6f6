import { ActionIcon, Button, Group, NumberInput, Paper, Stack, Text } from '@mantine/core'
import { type ReactElement, useState } from 'react'

import { formatCount } from '../format.ts'
import { useMutation } from '../hooks.ts'
import { IconMinus, IconPlus } from '../icons.ts'
import { move } from '../mutations.ts'
import type { Item } from '../queries.ts'
import { useSession } from '../session.tsx'

/** Stock, one at a time or many. What others take meanwhile is added up, so nobody's count is lost. */
export function StockStepper({ item }: { readonly item: Item }): ReactElement {
  const { person } = useSession()
  const [many, setMany] = useState<string | number>(10)
  const { mutate, error } = useMutation((db, amount: number) =>
    move(db, { item: item.id, kind: amount > 0 ? 'received' : 'picked', amount, person }),
  )
  const amount = Math.round(Number(many)) || 0
  return (
    <Paper p="md" bg="var(--holdfast-raised)">
      <Stack gap="sm">
        <div className="stepper">
          <ActionIcon size={44} variant="default" aria-label="Take one" onClick={() => mutate(-1)}>
            <IconMinus />
          </ActionIcon>
          <div>
            <div className="stepper__stock number" data-testid="stock">
              {formatCount(item.stock)}
            </div>
            <Text size="xs" c={item.stock < item.minimum ? 'red' : 'dimmed'} mt={4}>
              in stock · at least {item.minimum}
            </Text>
          </div>
          <ActionIcon size={44} variant="default" aria-label="Add one" onClick={() => mutate(1)}>
            <IconPlus />
          </ActionIcon>
        </div>
        <Group gap="xs" grow preventGrowOverflow={false} wrap="nowrap">
          <NumberInput
            aria-label="How many"
            w={92}
            min={1}
            max={9_999}
            allowDecimal={false}
            value={many}
            onChange={setMany}
          />
          <Button variant="default" disabled={amount <= 0} onClick={() => mutate(-amount)}>
            Pick
          </Button>
          <Button variant="default" disabled={amount <= 0} onClick={() => mutate(amount)}>
            Receive
          </Button>
        </Group>
        {error === null ? null : (
          <Text size="sm" c="red" role="alert">
            {error.message}
          </Text>
        )}
      </Stack>
    </Paper>
  )
}
