import type { HistoryEntry } from '@holdfast/client'
import { isObject } from '@holdfast/core'
import { Group, Skeleton, Stack, Text, Timeline, Title } from '@mantine/core'
import { type ReactElement, useEffect, useState } from 'react'

import { personName } from '../../warehouse/people.ts'
import { formatMoment } from '../format.ts'
import { useClient } from '../hooks.ts'

/** What happened to an item: who, when, what, and by which rule. It is asked of the server, which keeps it. */
export function ItemHistory(props: { readonly id: string; readonly moment: string }): ReactElement {
  const { id, moment } = props
  const db = useClient()
  const [entries, setEntries] = useState<readonly HistoryEntry[] | 'offline' | null>(null)
  useEffect(() => {
    let isOver = false
    const take = (found: readonly HistoryEntry[] | 'offline'): void => {
      if (!isOver) setEntries(found)
    }
    // The history is read anew at every moment at which it may have grown.
    db.items.history(id).then(take, () => take('offline'))
    return () => {
      isOver = true
    }
  }, [db, id, moment])
  return (
    <section aria-label="History">
      <Title order={3} size="sm" mb="sm">
        History
      </Title>
      {entries === null ? <Skeleton h={48} /> : null}
      {entries === 'offline' ? (
        <Text size="sm" c="dimmed">
          The history is on the server. It shows again when there is a network.
        </Text>
      ) : null}
      {Array.isArray(entries) ? <Entries entries={entries} /> : null}
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
        ? `${field} ${textOf(value)}`
        : `${field} ${textOf(was[field])} → ${textOf(value)}`,
    )
}

function textOf(value: unknown): string {
  if (value === null || value === undefined || value === '') return '–'
  if (Array.isArray(value)) return value.length === 0 ? '–' : value.join(', ')
  return typeof value === 'string' ? value.replaceAll('\n\n', ' ¶ ') : JSON.stringify(value)
}

const statusTexts: Readonly<Record<string, string>> = {
  applied: 'Applied as written',
  merged: 'Merged with what others did',
  conflict: 'Left to a person',
  rejected: 'Refused',
}

/** The sentence of each rule that decided, or what became of the change where none had to. */
function ruleText({ status, decisions }: HistoryEntry): string {
  const sentences = decisions.flatMap((decision) => {
    const explanation = isObject(decision) ? decision['explanation'] : undefined
    return typeof explanation === 'string' ? [explanation] : []
  })
  return [statusTexts[status] ?? status, ...new Set(sentences)].join('. ')
}
