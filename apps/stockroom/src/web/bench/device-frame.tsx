import { Avatar, Badge, Button, Group, Switch, Text, Tooltip } from '@mantine/core'
import { type ReactElement, useRef, useState } from 'react'

import { people, type PersonId } from '../../warehouse/people.ts'
import { IconPlane, IconRefresh } from '../icons.ts'
import type { DeviceOrder, DeviceReport } from '../use-reports.ts'

/** What `DeviceFrame` takes. */
export interface DeviceFrameProps {
  readonly person: PersonId
  /** What the device last told; undefined before that. */
  readonly report: DeviceReport | undefined
}

/** A device that one can take off the network and kill. */
export function DeviceFrame({ person, report }: DeviceFrameProps): ReactElement {
  const frame = useRef<HTMLIFrameElement>(null)
  const [life, setLife] = useState(0)
  const { name, color } = people[person]
  const isOffline = report?.isOffline ?? false
  const order = (isOff: boolean): void => {
    const message: DeviceOrder = { kind: 'stockroom order', isOffline: isOff }
    frame.current?.contentWindow?.postMessage(message, location.origin)
  }
  return (
    <section className="device" data-wide={person === 'office' || undefined} aria-label={`Device of ${name}`}>
      <div className="device__bar">
        <Group gap={8} wrap="nowrap">
          <Avatar name={name} color={color} size={26} radius="xl" />
          <Text fw={600} size="sm">
            {name.split(' ')[0]}
          </Text>
          <Counts report={report} />
        </Group>
        <Group gap={10} wrap="nowrap">
          <Switch
            size="md"
            checked={isOffline}
            disabled={report === undefined}
            onChange={(event) => order(event.currentTarget.checked)}
            aria-label={`Airplane mode of ${name}`}
            thumbIcon={<IconPlane size={12} stroke={2.2} />}
            color="orange"
          />
          <Tooltip label="Ends the device’s process at once, as a phone does, and starts it again">
            <Button
              size="compact-sm"
              variant="default"
              leftSection={<IconRefresh size={15} />}
              onClick={() => setLife(life + 1)}
            >
              Kill
            </Button>
          </Tooltip>
        </Group>
      </div>
      {/* A frame that is taken out ends its worker in the middle of whatever it does. */}
      <iframe
        key={life}
        ref={frame}
        className="device__screen"
        title={`${name}, Stockroom`}
        src={`/app/?as=${person}`}
      />
    </section>
  )
}

function Counts({ report }: { readonly report: DeviceReport | undefined }): ReactElement | null {
  if (report === undefined) return null
  const { toSendCount, conflictCount, deadLetterCount, hasSynced } = report
  return (
    <>
      {toSendCount > 0 ? (
        <Badge color="orange" tt="none">
          {toSendCount} to send
        </Badge>
      ) : null}
      {conflictCount > 0 ? (
        <Badge color="violet" tt="none">
          {conflictCount} to decide
        </Badge>
      ) : null}
      {deadLetterCount > 0 ? (
        <Badge color="red" tt="none">
          {deadLetterCount} refused
        </Badge>
      ) : null}
      {toSendCount + conflictCount + deadLetterCount === 0 ? (
        <Badge color={hasSynced ? 'teal' : 'gray'} tt="none">
          {hasSynced ? 'all sent' : 'first sync'}
        </Badge>
      ) : null}
    </>
  )
}
