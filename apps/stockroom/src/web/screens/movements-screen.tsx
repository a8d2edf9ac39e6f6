import { Avatar, Text } from '@mantine/core'
import { RecordBadge } from '@holdfast/react'
import type { ReactElement } from 'react'

import { isPerson, people, personName } from '../../warehouse/people.ts'
import { formatChange, formatMoment } from '../format.ts'
import { useLiveQuery } from '../hooks.ts'
import { newestMovements } from '../queries.ts'
import { VirtualList } from '../virtual-list.tsx'

/** How many are shown. */
const newest = 500

/** What was received, picked and counted, by anybody, the newest first. */
export function MovementsScreen(): ReactElement {
  const { rows, status } = useLiveQuery(newestMovements(newest))
  return (
    <section className="screen">
      <div className="screen__head">
        <Text size="sm" c="dimmed">
          {status === 'ready' && rows.length === 0
            ? 'Nothing was moved yet. Open an item and pick or receive something.'
            : 'Everybody’s movements, the newest first.'}
        </Text>
      </div>
      <VirtualList
        label="Movements"
        rows={rows}
        lineHeight={64}
        line={(movement, style) => (
          <div
            key={movement.id}
            className="list__line"
            style={{ ...style, gridTemplateColumns: 'auto minmax(0, 1fr) auto 62px' }}
          >
            <Avatar
              size={34}
              radius="xl"
              name={personName(movement.person)}
              color={isPerson(movement.person) ? people[movement.person].color : 'gray'}
            />
            <span style={{ minWidth: 0 }}>
              <span className="list__name">{movement.name ?? 'An item that was removed'}</span>
              <span className="list__more number">
                {personName(movement.person)} {movement.kind} · {formatMoment(movement.at)}
              </span>
            </span>
            {movement._state === 'clean' ? <span /> : <RecordBadge state={movement._state} />}
            <span className="list__stock number">
              {movement.amount === 0 ? '±0' : formatChange(movement.amount)}
            </span>
          </div>
        )}
      />
    </section>
  )
}
