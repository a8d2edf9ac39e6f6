import { type KeyboardEvent, type ReactElement, useId, useRef, useState } from 'react'

import { classNames } from '../components/class-names.ts'
import { useHoldfast } from '../holdfast-context.ts'
import { useSyncStatus } from '../hooks/use-sync-status.ts'
import { FeedPanel } from './feed-panel.tsx'
import type { NetworkConditions } from './network-conditions.ts'
import { NetworkPanel } from './network-panel.tsx'
import { OutboxPanel, type Place } from './outbox-panel.tsx'
import { RecordPanel } from './record-panel.tsx'

/** What `Inspector` takes. */
export interface InspectorProps {
  /** From `createNetworkConditions`; without it the network is as it is. */
  readonly conditions?: NetworkConditions
  /** Opened at the start; closed unless said. */
  readonly isOpen?: boolean
  readonly className?: string
}

const tabs = ['Outbox', 'Record', 'Feed', 'Network'] as const
type Tab = (typeof tabs)[number]

/**
 * A panel for developers at the foot of the page: what is in the outbox, why a record is as it is, where the device is in
 * the feed, and a network that can be made worse. Not for the people who use the app. Rules: RE-14.
 */
export function Inspector({
  conditions,
  isOpen: isOpenAtFirst = false,
  className,
}: InspectorProps): ReactElement {
  const status = useSyncStatus()
  const [isOpen, setOpen] = useState(isOpenAtFirst)
  const panelId = useId()
  const summary = status === undefined ? '…' : `${status.phase}, ${status.pendingCount} pending`
  return (
    <aside
      className={classNames('holdfast', 'holdfast-inspector', className)}
      aria-label="Holdfast inspector"
    >
      <button
        type="button"
        className="holdfast-inspector__toggle"
        aria-expanded={isOpen}
        aria-controls={panelId}
        onClick={() => setOpen(!isOpen)}
      >
        <strong>Holdfast</strong> {summary}
      </button>
      <div id={panelId} className="holdfast-inspector__body" hidden={!isOpen}>
        {isOpen ? <Tabs conditions={conditions} /> : null}
      </div>
    </aside>
  )
}

function Tabs({ conditions }: { readonly conditions: NetworkConditions | undefined }): ReactElement {
  const { schema } = useHoldfast()
  const [tab, setTab] = useState<Tab>('Outbox')
  const [place, setPlace] = useState<Place>({
    collection: [...schema.collections.keys()][0] ?? '',
    record: '',
  })
  const id = useId()
  const list = useRef<HTMLDivElement>(null)
  const shown = tabs.filter((name) => name !== 'Network' || conditions !== undefined)
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
    const next = shown[(shown.indexOf(tab) + step + shown.length) % shown.length]
    if (step === 0 || next === undefined) return
    setTab(next)
    list.current?.querySelector<HTMLElement>(`[id="${id}-${next}"]`)?.focus()
  }
  return (
    <>
      <div role="tablist" aria-label="Inspector" ref={list} onKeyDown={onKeyDown}>
        {shown.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`${id}-${name}`}
            aria-selected={name === tab}
            aria-controls={`${id}-panel`}
            tabIndex={name === tab ? 0 : -1}
            onClick={() => setTab(name)}
          >
            {name}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${tab}`} tabIndex={0}>
        {tab === 'Outbox' ? (
          <OutboxPanel
            onRecord={(chosen) => {
              setPlace(chosen)
              setTab('Record')
            }}
          />
        ) : null}
        {tab === 'Record' ? <RecordPanel place={place} onRecord={setPlace} /> : null}
        {tab === 'Feed' ? <FeedPanel /> : null}
        {tab === 'Network' && conditions !== undefined ? <NetworkPanel conditions={conditions} /> : null}
      </div>
    </>
  )
}
