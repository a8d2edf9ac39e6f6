import { Button, Group, NumberInput, Select, Text, TextInput } from '@mantine/core'
import { RecordBadge } from '@holdfast/react'
import { type CSSProperties, type ReactElement, useState } from 'react'

import { formatCount } from '../format.ts'
import { useLiveQuery, useMutation } from '../hooks.ts'
import { move } from '../mutations.ts'
import { countSheet, type Item } from '../queries.ts'
import { useSession } from '../session.tsx'
import { VirtualList } from '../virtual-list.tsx'

const aisles = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('')
/** As a field of a form has it. */
type Count = string | number
type Line = Pick<Item, 'id' | 'name' | 'sku' | 'location' | 'stock' | 'minimum' | '_state'>

/** An aisle in the order one walks it. What was found is booked as a difference, so counts of several people add up. */
export function CountScreen(): ReactElement {
  const { person } = useSession()
  const [aisle, setAisle] = useState(person === 'ben' ? 'N' : 'A')
  const [shelf, setShelf] = useState('')
  // Kept here and not in the lines: of a long sheet, only the lines that are seen are in the page.
  const [found, setFound] = useState<Readonly<Record<string, Count>>>({})
  const put = (id: string, count: Count): void => setFound((all) => ({ ...all, [id]: count }))
  const clear = (id: string, booked: Count): void =>
    setFound((all) => (all[id] === booked ? { ...all, [id]: '' } : all))
  const { rows } = useLiveQuery(countSheet(`${aisle}-${shelf.trim()}`), { keepPrevious: true })
  return (
    <section className="screen">
      <div className="screen__head">
        <Group gap="xs" wrap="nowrap">
          <Select
            aria-label="Aisle"
            w={124}
            allowDeselect={false}
            data={aisles.map((letter) => ({ value: letter, label: `Aisle ${letter}` }))}
            value={aisle}
            onChange={(chosen) => setAisle(chosen ?? aisle)}
          />
          <TextInput
            aria-label="Shelf"
            placeholder="Shelf"
            w={86}
            inputMode="numeric"
            value={shelf}
            onChange={(event) => setShelf(event.currentTarget.value)}
          />
          <Text size="sm" c="dimmed" className="number" ms="auto">
            {formatCount(rows.length)} {rows.length === 1 ? 'place' : 'places'}
          </Text>
        </Group>
        <Text size="sm" c="dimmed">
          Type what you found. The difference is added to the stock.
        </Text>
      </div>
      <VirtualList
        key={aisle}
        label="Count sheet"
        rows={rows}
        lineHeight={76}
        line={(item, style) => (
          <CountLine
            key={item.id}
            {...{ item, style }}
            found={found[item.id] ?? ''}
            onFound={(count) => put(item.id, count)}
            onBooked={(count) => clear(item.id, count)}
          />
        )}
      />
    </section>
  )
}

interface CountLineProps {
  readonly item: Line
  readonly style: CSSProperties
  /** What was typed. */
  readonly found: Count
  readonly onFound: (count: Count) => void
  /** Called once it is stored: until then it stays where it was typed. */
  readonly onBooked: (count: Count) => void
}

function CountLine({ item, style, found, onFound, onBooked }: CountLineProps): ReactElement {
  const { person } = useSession()
  const count = useMutation((db, amount: number) =>
    move(db, { item: item.id, kind: 'counted', amount, person }),
  )
  const isCounted = found !== '' && Number.isInteger(Number(found))
  const book = (): void => {
    if (!isCounted || count.status === 'writing') return
    count.mutateAsync(Number(found) - item.stock).then(
      () => onBooked(found),
      // The line says why.
      () => undefined,
    )
  }
  return (
    <div className="list__line" style={{ ...style, gridTemplateColumns: 'minmax(0, 1fr) 84px 68px', gap: 8 }}>
      <span style={{ minWidth: 0 }}>
        <span className="list__name">{item.name}</span>
        <span className="list__more number">
          <strong>{item.location}</strong>
          <span>expected {formatCount(item.stock)}</span>
          {item._state === 'clean' ? null : <RecordBadge state={item._state} isCompact />}
        </span>
      </span>
      <NumberInput
        aria-label={`Found of ${item.name}`}
        hideControls
        min={0}
        max={99_999}
        allowDecimal={false}
        placeholder="Found"
        value={found}
        onChange={onFound}
        error={count.error?.message}
        onKeyDown={(event) => {
          if (event.key === 'Enter') book()
        }}
      />
      <Button variant="light" px={8} disabled={!isCounted} onClick={book} aria-label={`Book ${item.name}`}>
        Book
      </Button>
    </div>
  )
}
