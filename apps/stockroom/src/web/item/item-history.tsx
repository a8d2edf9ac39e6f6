import type { HistoryEntry, RecordHistory } from '@holdfast/client'
import { isObject } from '@holdfast/core'
import { Group, Skeleton, Stack, Text, Timeline, Title } from '@mantine/core'
import { type ReactElement, useEffect, useState } from 'react'

import { personName } from '../../warehouse/people.ts'
import { formatMoment, formatValue } from '../format.ts'
import { useClient } from '../hooks.ts'
import type { Item } from '../queries.ts'
import { LostValues } from './lost-values.tsx'

/** What happened to an item: who, when, what, and by which rule. It is asked of the server, which keeps it. */
export function ItemHistory(props: { readonly item: Item; readonly moment: string }): ReactElement {
  const { item, moment } = props
  const { id } = item
  const db = useClient()
  const [told, setTold] = useState<RecordHistory | 'offline' | null>(null)
  useEffect(() => {
    let isOver = false
    const take = (found: RecordHistory | 'offline'): void => {
      if (!isOver) setTold(found)
    }
    // The history is read anew at every moment at which it may have grown.
    db.history('items', id).then(take, () => take('offline'))
    return () => {
      isOver = true
    }
  }, [db, id, moment])
  return (
    <section aria-label="History">
      <Title order={3} size="sm" mb="sm">
        History
      </Title>
      {told === null ? <Skeleton h={48} /> : null}
      {told === 'offline' ? (
        <Text size="sm" c="dimmed">
          The history is on the server. It shows again when there is a network.
        </Text>
      ) : null}
      {told === null || told === 'offline' ? null : (
        <>
          <LostValues item={item} lost={told.lost} />
          <Entries entries={told.history} />
        </>
      )}
    </section>
  )
}

function Entries({ entries }: { readonly entries: readonly HistoryEntry[] }): ReactElement {
  return (
    <Timeline bulletSize={12} lineWidth={2} active={entries.length}>
      {entries.map((entry, index) => (
        <Timeline.Item
          key={`${entry.mutation ?? entry.version} ${index}`}
          color={entry.status === 'conflict' ? 'violet' : entry.status === 'rejected' ? 'red' : 'cyan'}
          title={
            <Group gap={8} justify="space-between" wrap="nowrap" align="baseline">
              <Text size="sm" fw={600}>
                {entry.user === null ? 'Import' : personName(entry.user)}
              </Text>
              <Text size="xs" c="dimmed" className="number">
                {formatMoment(entry.at)}
              </Text>
            </Group>
          }
        >
          <Stack gap={2}>
            {changesOf(entry).map((text) => (
              <Text key={text} size="sm" className="number">
                {text}
              </Text>
            ))}
            <Text size="xs" c="dimmed">
              {ruleText(entry)}
            </Text>
          </Stack>
        </Timeline.Item>
      ))}
    </Timeline>
  )
}

function changesOf({ op, before, after }: HistoryEntry): readonly string[] {
  if (op === 'create') return ['Created']
  if (op === 'delete') return ['Deleted']
  const was = isObject(before) ? before : {}
  const is = isObject(after) ? after : {}
  return Object.entries(is)
    .filter(([field, value]) => JSON.stringify(value) !== JSON.stringify(was[field]))
    .map(([field, value]) =>
      was[field] === undefined
        ? `${field} ${formatValue(value)}`
        : `${field} ${formatValue(was[field])} → ${formatValue(value)}`,
    )
}

const statusTexts: Readonly<Record<string, string>> = {
  applied: 'Applied as written',
  merged: 'Merged with what others did',
  conflict: 'Left to a person',
  rejected: 'Refused',
  lost: 'Did not stand',
}

/** The sentence of each rule that decided, or what became of the change where none had to. */
function ruleText({ status, decisions }: HistoryEntry): string {
  const sentences = decisions.flatMap((decision) => {
    const explanation = isObject(decision) ? decision['explanation'] : undefined
    return typeof explanation === 'string' ? [explanation] : []
  })
  return [statusTexts[status] ?? status, ...new Set(sentences)].join('. ')
}
