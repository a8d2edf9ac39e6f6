import type { Conflict, ConflictPart, Entry } from '@holdfast/client'
import type { Json, Values } from '@holdfast/core'
import { type ReactElement, type ReactNode, type Ref, useId, useRef, useState } from 'react'

import { type FormField, RecordForm, type Suggestion } from '../forms/record-form.tsx'
import { useFormat } from '../format/use-format.ts'
import { useHoldfast } from '../holdfast-context.ts'
import { useMutation } from '../hooks/use-mutation.ts'
import { useNow } from '../hooks/use-now.ts'
import type { Labels } from '../labels.ts'
import { ActionError } from './action-error.tsx'
import { Button } from './button.tsx'
import { classNames } from './class-names.ts'
import { ConflictPartView } from './conflict-part-view.tsx'
import { canKeepBoth, comparedFields, editableParts, sideNames, type SideNames } from './conflict-sides.ts'
import { RecordName, recordName } from './record-name.tsx'
import { useReturnFocus } from './use-return-focus.ts'
import type { RenderValue } from './value-view.tsx'

/** What a person decides about a conflict. */
type Choice = 'keepMine' | 'keepTheirs' | 'keepBoth'

/** What `ConflictCard` takes. */
export interface ConflictCardProps {
  readonly conflict: Conflict
  /** The decision that is on its way, if there is one. */
  readonly decided?: Entry
  /** It is not open any more, by somebody else's decision: what was typed stays, and nothing can be decided. */
  readonly isOver?: boolean
  /** No decision is taken for now. */
  readonly isHeld?: boolean
  /** What the record is called; a text field that names it unless said. */
  readonly title?: string
  readonly renderValue?: RenderValue
  /** Called once a decision is stored on this device. */
  readonly onSettled?: (conflict: Conflict) => void
  readonly className?: string
}

/** One conflict: both versions side by side, what differs, why there is a question, and the ways out. Rules: RE-9. */
export function ConflictCard(props: ConflictCardProps): ReactElement {
  const { conflict, decided, className, renderValue, onSettled } = props
  const isOver = props.isOver === true || conflict.status !== 'open'
  const { labels, opening } = useHoldfast()
  const [isEditing, setEditing] = useState(false)
  const edit = useRef<HTMLButtonElement>(null)
  const headingId = useId()
  const account = opening.client?.identity().account ?? null
  const sides = sideNames(conflict, account, labels)
  const title = props.title ?? <ConflictName conflict={conflict} />
  const settle = useMutation(async (db, decide: (conflicts: typeof db.conflicts) => Promise<unknown>) => {
    await decide(db.conflicts)
    setEditing(false)
    onSettled?.(conflict)
  })
  const isBusy = settle.status === 'writing' || props.isHeld === true
  useReturnFocus(isEditing, edit)
  return (
    <article
      className={classNames('holdfast', 'holdfast-conflict', className)}
      aria-labelledby={headingId}
      data-kind={conflict.kind}
    >
      <ConflictHeader conflict={conflict} title={title} headingId={headingId} />
      {conflict.parts.map((part) => (
        <ConflictPartView
          key={`${part.collection} ${part.record}`}
          part={part}
          sides={sides}
          caption={`${labels.collection(part.collection)} ${recordName(part.record, [part.mine, part.theirs, part.base])}`}
          renderValue={renderValue}
        />
      ))}
      <ActionError error={settle.error} />
      {isOver ? (
        <p role="status" className="holdfast-note">
          {labels.conflict.over}
        </p>
      ) : decided === undefined ? (
        <Choices
          {...{ conflict, sides, isBusy, isEditing }}
          editRef={edit}
          onChoose={(choice) => settle.mutate((conflicts) => conflicts[choice](conflict.id))}
          onEdit={() => setEditing(true)}
        />
      ) : (
        <p className="holdfast-decided">{labels.conflict.settled}</p>
      )}
      {isEditing ? (
        <MergeForm
          {...{ conflict, sides, isBusy }}
          onSubmit={(values) => settle.mutate((conflicts) => conflicts.merge(conflict.id, values))}
          onCancel={() => setEditing(false)}
        />
      ) : null}
    </article>
  )
}

/** What the record a conflict is about is called. */
export function ConflictName({
  conflict: { collection, record, parts },
}: {
  readonly conflict: Conflict
}): ReactElement {
  const part = parts.find((each) => each.record === record) ?? parts[0]
  const values = part === undefined ? [] : [part.mine, part.theirs, part.base, part.last]
  return <RecordName collection={collection} record={record} values={values} />
}

/** How often ages are written anew, ms. */
const tickMs = 30_000

function ConflictHeader({
  conflict,
  title,
  headingId,
}: {
  readonly conflict: Conflict
  readonly title: ReactNode
  readonly headingId: string
}): ReactElement {
  const { labels } = useHoldfast()
  const format = useFormat()
  const nowMs = useNow(tickMs)
  const madeMs = Date.parse(conflict.createdAt)
  const when =
    nowMs === null || nowMs - madeMs > 86_400_000
      ? format.dateTime(conflict.createdAt)
      : nowMs - madeMs < 60_000
        ? labels.status.justNow
        : format.relative(nowMs - madeMs)
  return (
    <header className="holdfast-conflict__header">
      <span className="holdfast-kicker">
        {labels.collection(conflict.collection)} · {labels.conflict.kinds[conflict.kind]}
      </span>
      <h3 id={headingId} tabIndex={-1}>
        {title}
      </h3>
      <span className="holdfast-hint">{labels.conflict.by(labels.person(conflict.author), when)}</span>
      {conflict.inReview ? <p className="holdfast-note">{labels.conflict.inReview}</p> : null}
    </header>
  )
}

interface ChoicesProps {
  readonly conflict: Conflict
  readonly sides: SideNames
  readonly isBusy: boolean
  readonly isEditing: boolean
  readonly editRef: Ref<HTMLButtonElement>
  readonly onChoose: (choice: Choice) => void
  readonly onEdit: () => void
}

function Choices({
  conflict,
  sides,
  isBusy,
  isEditing,
  editRef,
  onChoose,
  onEdit,
}: ChoicesProps): ReactElement {
  const { labels } = useHoldfast()
  return (
    <div className="holdfast-actions" hidden={isEditing}>
      <Button className="holdfast-button--mine" isBusy={isBusy} onClick={() => onChoose('keepMine')}>
        {sides.keepMine}
      </Button>
      <Button className="holdfast-button--theirs" isBusy={isBusy} onClick={() => onChoose('keepTheirs')}>
        {sides.keepTheirs}
      </Button>
      {editableParts(conflict).length === 0 ? null : (
        <Button buttonRef={editRef} isBusy={isBusy} onClick={onEdit}>
          {labels.conflict.edit}
        </Button>
      )}
      {canKeepBoth(conflict) ? (
        <Button isBusy={isBusy} onClick={() => onChoose('keepBoth')}>
          {labels.conflict.keepBoth}
        </Button>
      ) : null}
    </div>
  )
}

interface MergeFormProps {
  readonly conflict: Conflict
  readonly sides: SideNames
  readonly isBusy: boolean
  /** Values by record where there are several, as `conflicts.merge` takes them. */
  readonly onSubmit: (values: Readonly<Record<string, unknown>>) => void
  readonly onCancel: () => void
}

/** Starts from mine, or from what is left; each field can be set to either side by a click. */
function MergeForm({ conflict, sides, isBusy, onSubmit, onCancel }: MergeFormProps): ReactElement {
  const { labels } = useHoldfast()
  const parts = editableParts(conflict)
  const fields = parts.flatMap((part, index) => fieldsToEdit(part, sides, labels, index))
  const submit = (values: Values): void => {
    if (parts.length === 1) return onSubmit(unprefixed(values, 0))
    onSubmit(Object.fromEntries(parts.map(({ record }, index) => [record, unprefixed(values, index)])))
  }
  return (
    <RecordForm
      title={labels.conflict.editTitle}
      fields={fields}
      submit={labels.conflict.save}
      cancel={labels.conflict.cancel}
      isBusy={isBusy}
      onSubmit={submit}
      onCancel={onCancel}
    />
  )
}

/** Where the fields of a part begin in the keys of the form: several parts may have fields of one name. */
function prefixOf(index: number): string {
  return `${index}.`
}

function unprefixed(values: Values, index: number): Values {
  const prefix = prefixOf(index)
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [],
    ),
  )
}

/** The fields in dispute; all of them where the question is whether the record stays. */
function fieldsToEdit(
  part: ConflictPart,
  sides: SideNames,
  labels: Labels,
  index: number,
): readonly FormField[] {
  const fields = comparedFields(part)
  const disputed = fields.filter(({ isDisputed }) => isDisputed)
  return (disputed.length > 0 ? disputed : fields).map(({ name, mine, theirs }) => {
    const label = labels.fieldName(name, part.collection)
    const suggest = (side: string, value: Json): Suggestion => ({
      label: side,
      spoken: labels.conflict.use(side, label),
      value,
    })
    return {
      key: `${prefixOf(index)}${name}`,
      collection: part.collection,
      name,
      value: (mine === undefined ? theirs : mine) ?? null,
      suggestions:
        mine === undefined || theirs === undefined
          ? []
          : [suggest(sides.mine, mine), suggest(sides.theirs, theirs)],
    }
  })
}
