import type { Conflict, ConflictQuery, Entry } from '@holdfast/client'
import { type ReactElement, type RefObject, useEffect, useId, useRef, useState } from 'react'

import { useHoldfast } from '../holdfast-context.ts'
import { useConflicts } from '../hooks/use-conflicts.ts'
import { useDecided } from '../hooks/use-decided.ts'
import { ActionError } from './action-error.tsx'
import { Button } from './button.tsx'
import { classNames } from './class-names.ts'
import { ConflictCard, ConflictName } from './conflict-card.tsx'
import { EmptyState } from './empty-state.tsx'
import { useHeld } from './use-held.ts'
import type { RenderValue } from './value-view.tsx'

/** Class names by part, added to the own ones. */
export interface ConflictScreenClassNames {
  readonly header?: string
  readonly list?: string
  readonly card?: string
}

/** What `ConflictScreen` takes. */
export interface ConflictScreenProps {
  /** Which conflicts; all open ones unless said. */
  readonly query?: ConflictQuery
  /** What a record is called; a text field that names it unless said. */
  readonly titleOf?: (conflict: Conflict) => string
  readonly renderValue?: RenderValue
  readonly className?: string
  readonly classNames?: ConflictScreenClassNames
}

/**
 * Every conflict this device sees, one at a time: a list to choose from and the chosen one beside it. After a decision the
 * next one is shown and focused. Rules: RE-9.
 */
export function ConflictScreen(props: ConflictScreenProps): ReactElement {
  const { query, titleOf, renderValue, className, classNames: parts = {} } = props
  const { labels } = useHoldfast()
  const { conflicts, status, error } = useConflicts(query)
  const decided = useDecided()
  const headingId = useId()
  const { screen, chosen, isOver, isHeld, choose, moveOn, goOn, told } = useChoice(conflicts, decided, query)
  return (
    <section
      ref={screen}
      className={classNames('holdfast', 'holdfast-screen', className)}
      aria-labelledby={headingId}
      aria-busy={status === 'pending'}
    >
      <header className={classNames('holdfast-screen__header', parts.header)}>
        <h2 id={headingId} tabIndex={-1}>
          {labels.conflict.title}
        </h2>
        {conflicts.length === 0 ? null : (
          <span className="holdfast-hint">{labels.conflict.count(undecided(conflicts, decided).length)}</span>
        )}
      </header>
      <p role="status" className="holdfast-hidden">
        {told}
      </p>
      <ActionError error={error} />
      {status === 'ready' && chosen === undefined ? (
        <EmptyState title={labels.conflict.none} hint={labels.conflict.noneHint} />
      ) : null}
      <div className="holdfast-screen__body">
        {conflicts.length < 2 ? null : (
          <ConflictList {...{ conflicts, decided, chosen, choose, titleOf }} className={parts.list} />
        )}
        {chosen === undefined ? null : (
          <div>
            <ConflictCard
              key={chosen.id}
              conflict={chosen}
              decided={decided.get(chosen.id)}
              isOver={isOver}
              isHeld={isHeld}
              title={titleOf?.(chosen)}
              renderValue={renderValue}
              onSettled={moveOn}
              className={parts.card}
            />
            {isOver ? <Button onClick={goOn}>{labels.conflict.goOn}</Button> : null}
          </div>
        )}
      </div>
    </section>
  )
}

function undecided(conflicts: readonly Conflict[], decided: ReadonlyMap<string, Entry>): readonly Conflict[] {
  return conflicts.filter(({ id, status }) => status === 'open' && !decided.has(id))
}

interface Choice {
  readonly screen: RefObject<HTMLElement | null>
  readonly chosen: Conflict | undefined
  /** The chosen one is not among those of the query any more, and nobody has decided it here. */
  readonly isOver: boolean
  /** Another one was here a moment ago. */
  readonly isHeld: boolean
  readonly choose: (conflict: Conflict) => void
  readonly moveOn: (settled: Conflict) => void
  /** Leaves one that is over. */
  readonly goOn: () => void
  /** What is read out after a decision. */
  readonly told: string
}

/** What is shown, of which database and which query. */
interface Shown {
  readonly conflict: Conflict
  readonly isDecided: boolean
  readonly client: unknown
  readonly query: string
}

/**
 * Which conflict is shown: the first that nobody has decided, until another one is chosen, or it is decided here. What others
 * do takes it from nobody: what comes, comes behind it, and when it is decided elsewhere it stays until somebody goes on.
 */
function useChoice(
  conflicts: readonly Conflict[],
  decided: ReadonlyMap<string, Entry>,
  wanted: ConflictQuery | undefined,
): Choice {
  const { labels, opening } = useHoldfast()
  const { client } = opening
  const query = JSON.stringify(wanted ?? {})
  const [told, setTold] = useState('')
  const { screen, isHeld, move } = useMoves()
  const [shown, setShown] = useState<Shown>()
  const open = undecided(conflicts, decided)
  const known = shown?.client === client && shown?.query === query ? shown : undefined
  const stays = conflicts.find(({ id }) => id === known?.conflict.id)
  const isOver = known !== undefined && stays === undefined && !known.isDecided
  const chosen = stays ?? (isOver ? known.conflict : undefined) ?? open[0] ?? conflicts[0]
  const show = (conflict: Conflict | undefined, isDecided: boolean): void =>
    setShown(conflict && { conflict, isDecided, client, query })
  const isDecided = chosen !== undefined && decided.has(chosen.id)
  const isNews = chosen !== known?.conflict || (isDecided && known?.isDecided === false)
  if (isNews && (chosen !== undefined || shown !== undefined)) show(chosen, isDecided)
  return {
    screen,
    chosen,
    isOver,
    isHeld,
    told,
    choose: (conflict) => show(conflict, decided.has(conflict.id)),
    moveOn: (settled) => {
      const at = open.findIndex(({ id }) => id === settled.id)
      const next = open[at + 1] ?? open[at - 1]
      show(next ?? settled, next === undefined)
      setTold(labels.conflict.settled)
      move()
    },
    goOn: () => {
      show(open[0] ?? conflicts[0], false)
      move()
    },
  }
}

/** Moves to another conflict: the focus goes to it, and for a moment it takes no decision. */
function useMoves(): Pick<Choice, 'screen' | 'isHeld'> & { readonly move: () => void } {
  const screen = useRef<HTMLElement>(null)
  const [moves, setMoves] = useState(0)
  const { isHeld, hold } = useHeld()
  useEffect(() => {
    if (moves === 0) return
    // The button that was pressed is gone: whoever uses the keyboard goes on at what came in its place.
    const next =
      screen.current?.querySelector<HTMLElement>('h3') ?? screen.current?.querySelector<HTMLElement>('h2')
    next?.focus()
  }, [moves])
  return {
    screen,
    isHeld,
    move: () => {
      hold()
      setMoves((count) => count + 1)
    },
  }
}

interface ConflictListProps {
  readonly conflicts: readonly Conflict[]
  readonly decided: ReadonlyMap<string, Entry>
  readonly chosen: Conflict | undefined
  readonly choose: (conflict: Conflict) => void
  readonly titleOf: ((conflict: Conflict) => string) | undefined
  readonly className?: string
}

function ConflictList({
  conflicts,
  decided,
  chosen,
  choose,
  titleOf,
  className,
}: ConflictListProps): ReactElement {
  const { labels } = useHoldfast()
  return (
    <nav aria-label={labels.conflict.title} className={classNames('holdfast-list', className)}>
      <ul>
        {conflicts.map((conflict) => (
          <li key={conflict.id}>
            <button
              type="button"
              aria-current={conflict === chosen || undefined}
              data-decided={decided.has(conflict.id) || undefined}
              onClick={() => choose(conflict)}
            >
              <strong>{titleOf?.(conflict) ?? <ConflictName conflict={conflict} />}</strong>
              <span className="holdfast-hint">
                {decided.has(conflict.id)
                  ? labels.conflict.settled
                  : `${labels.collection(conflict.collection)} · ${labels.conflict.kinds[conflict.kind]}`}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </nav>
  )
}
