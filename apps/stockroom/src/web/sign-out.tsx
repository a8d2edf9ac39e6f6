import type { SyncStatus } from '@holdfast/client'
import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { type ReactElement, useEffect, useState } from 'react'

import { useClient, useSyncStatus } from './hooks.ts'
import { useSession } from './session.tsx'

/** Asks the device whether everything was sent; if not, says what it means to leave now. */
export function SignOut({ onStay }: { readonly onStay: () => void }): ReactElement {
  const db = useClient()
  const session = useSession()
  const status = useSyncStatus()
  const isSafe = useIsSafe(status)
  const unsent = [
    counted(status?.pendingCount ?? 0, 'change', 'changes'),
    counted(status?.attachments.uploads ?? 0, 'photo', 'photos'),
    counted(status?.deadLetterCount ?? 0, 'refused change', 'refused changes'),
  ].filter((text) => text !== null)
  const sendNow = async (): Promise<void> => {
    await db.attachments.retry()
    await db.sync.now()
  }
  return (
    <Modal
      opened
      onClose={onStay}
      title={<Text fw={650}>Sign out?</Text>}
      closeButtonProps={{ 'aria-label': 'Close' }}
      centered
    >
      <Stack>
        {isSafe === false ? (
          <Text>
            <strong>
              Not on the server yet: {unsent.join(' and ') || 'changes that wait for a decision'}.
            </strong>{' '}
            They stay on this device and are sent when you sign in here again. Until then nobody else sees
            them.
          </Text>
        ) : isSafe === true ? (
          <Text>Everything you did has reached the server.</Text>
        ) : null}
        <Group justify="flex-end">
          {isSafe === false ? (
            <Button variant="default" onClick={() => void sendNow().catch(() => undefined)}>
              Send now
            </Button>
          ) : null}
          <Button variant="default" onClick={onStay}>
            Stay
          </Button>
          <Button
            color={isSafe === false ? 'red' : undefined}
            disabled={isSafe === null}
            onClick={() => void session.signOut()}
          >
            {isSafe === false ? 'Sign out anyway' : 'Sign out'}
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}

/** Whether nothing is lost with the database, asked anew with every status; null until it is known. */
function useIsSafe(status: SyncStatus | undefined): boolean | null {
  const db = useClient()
  const [isSafe, setSafe] = useState<boolean | null>(null)
  useEffect(() => {
    let isOver = false
    // What cannot be asked is not known to be safe.
    const take = (safe: boolean): void => void (isOver || setSafe(safe))
    db.canSafelySignOut().then(take, () => take(false))
    return () => {
      isOver = true
    }
  }, [db, status])
  return isSafe
}

/** null for none. */
function counted(count: number, one: string, many: string): string | null {
  return count === 0 ? null : `${count} ${count === 1 ? one : many}`
}
