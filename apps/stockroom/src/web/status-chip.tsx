import { Badge, Group, Loader, Popover, Text, UnstyledButton } from '@mantine/core'
import { StatusBar } from '@holdfast/react'
import type { SyncStatus } from '@holdfast/client'
import type { ReactElement } from 'react'

import { useSyncStatus } from './hooks.ts'

/** How things stand in two words; a click tells the rest. */
export function StatusChip({ onShowDecisions }: { readonly onShowDecisions: () => void }): ReactElement {
  const status = useSyncStatus()
  const { text, color, isBusy = false } = chipOf(status)
  return (
    <Popover width={360} position="bottom-end" shadow="md" withinPortal>
      <Popover.Target>
        <UnstyledButton aria-label={`Sync status: ${text}`}>
          <Badge
            color={color}
            size="lg"
            tt="none"
            fw={600}
            leftSection={isBusy ? <Loader size={10} color={color} /> : <Dot />}
          >
            {text}
          </Badge>
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown p={6}>
        <StatusBar onShowConflicts={onShowDecisions} onShowDeadLetters={onShowDecisions} />
        <Group p={8} pb={4}>
          <Text size="xs" c="dimmed">
            Everything you do is saved on this device first, and sent when there is a network.
          </Text>
        </Group>
      </Popover.Dropdown>
    </Popover>
  )
}

function Dot(): ReactElement {
  return (
    <svg width="8" height="8" aria-hidden>
      <circle cx="4" cy="4" r="4" fill="currentColor" />
    </svg>
  )
}

interface Chip {
  readonly text: string
  readonly color: string
  readonly isBusy?: boolean
}

function chipOf(status: SyncStatus | undefined): Chip {
  if (status === undefined) return { text: 'Opening', color: 'gray', isBusy: true }
  const { online, progress, pausedBy, lastSyncAt } = status
  const toSend = status.pendingCount + status.attachments.uploads
  const unsent = toSend === 0 ? '' : ` · ${toSend} to send`
  if (!online) return { text: `Offline${unsent}`, color: 'orange' }
  if (pausedBy === 'auth') return { text: `Sign in again${unsent}`, color: 'orange' }
  if (pausedBy !== null) return { text: `Paused${unsent}`, color: 'orange' }
  if (progress !== null && progress.phase === 'snapshot')
    return { text: `Receiving ${progress.rows.toLocaleString('en-GB')}`, color: 'cyan', isBusy: true }
  if (toSend > 0) return { text: `${toSend} to send`, color: 'cyan', isBusy: true }
  if (lastSyncAt === null) return { text: 'First sync', color: 'cyan', isBusy: true }
  const toDecide = status.conflictCount + status.deadLetterCount
  if (toDecide > 0) return { text: `All sent · ${toDecide} to decide`, color: 'violet' }
  return { text: 'All sent', color: 'teal' }
}
