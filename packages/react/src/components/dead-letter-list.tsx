import type { DeadLetter } from '@holdfast/client'
import { type ReactElement, useId, useRef, useState } from 'react'

import { useHoldfast } from '../holdfast-context.ts'
import { useDeadLetters } from '../hooks/use-dead-letters.ts'
import { useMutation } from '../hooks/use-mutation.ts'
import { ActionError } from './action-error.tsx'
import { Button } from './button.tsx'
import { classNames } from './class-names.ts'
import { DeadLetterCard } from './dead-letter-card.tsx'
import { EmptyState } from './empty-state.tsx'
import { saveFile } from './save-file.ts'
import { useHeld } from './use-held.ts'
import type { RenderValue } from './value-view.tsx'

/** Class names by part, added to the own ones. */
export interface DeadLetterListClassNames {
  readonly header?: string
  readonly card?: string
}

/** What `DeadLetterList` takes. */
export interface DeadLetterListProps {
  readonly renderValue?: RenderValue
  /** Takes the exported JSON; a download unless said. `name` is what the file would be called. */
  readonly onExport?: (json: string, name: string) => void
  readonly className?: string
  readonly classNames?: DeadLetterListClassNames
}

/** What the server refused, why, and the ways out: retry, edit and retry, discard, export. Rules: RE-10. */
export function DeadLetterList(props: DeadLetterListProps): ReactElement {
  const { renderValue, onExport = saveFile, className, classNames: parts = {} } = props
  const { labels } = useHoldfast()
  const words = labels.deadLetter
  const { letters, status, error } = useDeadLetters()
  const headingId = useId()
  const heading = useRef<HTMLHeadingElement>(null)
  const [told, setTold] = useState('')
  const { isHeld, hold } = useHeld()
  const exporting = useMutation(async (db, letter: DeadLetter | undefined) => {
    const rows = await db.deadLetters.export(letter?.id)
    onExport(JSON.stringify(rows, null, 2), words.exportFile)
  })
  return (
    <section
      className={classNames('holdfast', 'holdfast-screen', className)}
      aria-labelledby={headingId}
      aria-busy={status === 'pending'}
    >
      <header className={classNames('holdfast-screen__header', parts.header)}>
        <h2 id={headingId} tabIndex={-1} ref={heading}>
          {words.title}
        </h2>
        {letters.length === 0 ? null : <span className="holdfast-hint">{words.count(letters.length)}</span>}
        {letters.length < 2 ? null : (
          <Button tone="quiet" className="holdfast-screen__end" onClick={() => exporting.mutate(undefined)}>
            {words.exportAll}
          </Button>
        )}
      </header>
      <p role="status" className="holdfast-hidden">
        {told}
      </p>
      <ActionError error={error ?? exporting.error} />
      {status === 'ready' && letters.length === 0 ? (
        <EmptyState title={words.none} hint={words.noneHint} />
      ) : null}
      <ul className="holdfast-letters">
        {letters.map((letter) => (
          <li key={letter.id}>
            <DeadLetterCard
              letter={letter}
              renderValue={renderValue}
              className={parts.card}
              onExport={() => exporting.mutate(letter)}
              isHeld={isHeld}
              onGone={(text) => {
                setTold(text)
                hold()
                // The card and its buttons go: whoever uses the keyboard goes on at the heading.
                heading.current?.focus()
              }}
            />
          </li>
        ))}
      </ul>
    </section>
  )
}
