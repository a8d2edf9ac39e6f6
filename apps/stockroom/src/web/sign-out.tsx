import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { type ReactElement, useEffect, useState } from 'react'

import { useClient, useSyncStatus } from './hooks.ts'
import { useSession } from './session.tsx'

/** Asks the device whether everything was sent; if not, says what it means to leave now. */
export function SignOut({ onStay }: { readonly onStay: () => void }): ReactElement {
  const db = useClient()
  const session = useSession()
  const status = useSyncStatus()
  const [isSafe, setSafe] = useState<boolean | null>(null)
  useEffect(() => {
    void db.canSafelySignOut().then(setSafe)
  }, [db, status])
  const waiting = status?.pendingCount ?? 0
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
              {waiting === 1 ? '1 change has' : `${waiting} changes have`} not reached the server.
            </strong>{' '}
            They stay on this device and are sent when you sign in here again. Until then nobody else sees
            them.
          </Text>
        ) : (
          <Text>Everything you did has reached the server.</Text>
        )}
        <Group justify="flex-end">
          {isSafe === false ? (
            <Button variant="default" onClick={() => void db.sync.now().catch(() => undefined)}>
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
