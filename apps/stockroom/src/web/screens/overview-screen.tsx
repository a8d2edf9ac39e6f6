import { Paper, Progress, SimpleGrid, Stack, Table, Text, Title } from '@mantine/core'
import type { ReactElement } from 'react'

import { personName } from '../../warehouse/people.ts'
import { formatChange, formatCount, formatHour } from '../format.ts'
import { useLiveQuery, useSyncStatus } from '../hooks.ts'
import { byCategory, newestMovements, totals } from '../queries.ts'

/** What the office looks at first: how much there is, what runs low, and what is going on. */
export function OverviewScreen(): ReactElement {
  const { rows } = useLiveQuery(totals)
  const { conflictCount = 0 } = useSyncStatus() ?? {}
  const { items = 0, pieces = 0, low = 0 } = rows[0] ?? {}
  return (
    <section className="screen">
      <div className="screen__body">
        <Stack p="md" gap="md">
          <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="sm">
            <Figure label="Items" value={items} />
            <Figure label="Pieces in stock" value={pieces ?? 0} />
            <Figure label="Running low" value={low} color="red" />
            <Figure
              label="To decide"
              value={conflictCount}
              color={conflictCount > 0 ? 'violet' : undefined}
            />
          </SimpleGrid>
          <Categories />
          <Latest />
        </Stack>
      </div>
    </section>
  )
}

function Figure(props: {
  readonly label: string
  readonly value: number
  readonly color?: string
}): ReactElement {
  return (
    <Paper p="sm">
      <Text size="xs" c="dimmed" fw={550}>
        {props.label}
      </Text>
      <Text fz={26} fw={680} lh={1.2} c={props.color} className="number">
        {formatCount(props.value)}
      </Text>
    </Paper>
  )
}

function Categories(): ReactElement {
  const { rows } = useLiveQuery(byCategory)
  const most = Math.max(1, ...rows.map(({ pieces }) => pieces))
  return (
    <Paper p="md">
      <Title order={2} size="sm" mb="sm">
        Stock by category
      </Title>
      <Stack gap={10}>
        {rows.map(({ category, pieces, low }) => (
          <div key={category}>
            <Text size="sm" className="number">
              <strong>{category}</strong> {formatCount(pieces)} pieces ·{' '}
              <Text span c="dimmed">
                {formatCount(low)} running low
              </Text>
            </Text>
            <Progress value={(100 * pieces) / most} size="sm" mt={4} aria-label={`${category}, pieces`} />
          </div>
        ))}
      </Stack>
    </Paper>
  )
}

function Latest(): ReactElement {
  const { rows } = useLiveQuery(newestMovements(8))
  return (
    <Paper p="md">
      <Title order={2} size="sm" mb="xs">
        Latest movements
      </Title>
      {rows.length === 0 ? (
        <Text size="sm" c="dimmed">
          Nothing was moved yet.
        </Text>
      ) : (
        <Table verticalSpacing={6} withRowBorders={false}>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={row.id}>
                <Table.Td className="number">{formatHour(row.at)}</Table.Td>
                <Table.Td>{personName(row.person).split(' ')[0]}</Table.Td>
                <Table.Td>{row.name ?? 'An item that was removed'}</Table.Td>
                <Table.Td ta="right" fw={600} className="number">
                  {row.amount === 0 ? '±0' : formatChange(row.amount)}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Paper>
  )
}
