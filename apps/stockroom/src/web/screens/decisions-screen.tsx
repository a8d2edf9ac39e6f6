import { Stack } from '@mantine/core'
import { ConflictScreen, DeadLetterList } from '@holdfast/react'
import type { ReactElement } from 'react'

import { useSyncStatus } from '../hooks.ts'

/** What waits for a person: both versions side by side, and what the server refused. */
export function DecisionsScreen(): ReactElement {
  const { deadLetterCount = 0 } = useSyncStatus() ?? {}
  return (
    <section className="screen">
      <div className="screen__body">
        <Stack gap="xl" p="md" maw={860}>
          <ConflictScreen />
          {deadLetterCount > 0 ? <DeadLetterList /> : null}
        </Stack>
      </div>
    </section>
  )
}
