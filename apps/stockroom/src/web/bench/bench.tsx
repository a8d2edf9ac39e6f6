import { Anchor, Group, Text, Title } from '@mantine/core'
import { type ReactElement, useEffect, useState } from 'react'

import { everybody, type PersonId } from '../../warehouse/people.ts'
import type { DeviceReport } from '../use-reports.ts'
import { DeviceFrame } from './device-frame.tsx'

type Reports = Partial<Record<PersonId, DeviceReport>>

/** Two workers and the office side by side: each a device of its own, with a database of its own in this browser. */
export function Bench(): ReactElement {
  const reports = useDeviceReports()
  return (
    <div className="bench">
      <header className="bench__header">
        <img src="/icon.svg" alt="" width={30} height={30} />
        <div>
          <Title order={1} size="h4" lh={1.2}>
            Stockroom, side by side
          </Title>
          <Text size="sm" c="dimmed">
            Three devices and one server. Put both workers in airplane mode, give one item two prices, and let
            them back.
          </Text>
        </div>
        <Group ms="auto" gap="md" wrap="nowrap" visibleFrom="sm">
          <Anchor href="/app/" size="sm">
            The app alone
          </Anchor>
        </Group>
      </header>
      <div className="bench__devices">
        {everybody.map((person) => (
          <DeviceFrame key={person} person={person} report={reports[person]} />
        ))}
      </div>
    </div>
  )
}

/** What each device last told of itself. */
function useDeviceReports(): Reports {
  const [reports, setReports] = useState<Reports>({})
  useEffect(() => {
    const take = ({ origin, data }: MessageEvent<DeviceReport>): void => {
      if (origin !== location.origin || data?.kind !== 'stockroom report') return
      setReports((known) => ({ ...known, [data.person]: data }))
    }
    window.addEventListener('message', take)
    return () => window.removeEventListener('message', take)
  }, [])
  return reports
}
