import type { Client, DeadLetter, DeadMutation } from '@holdfast/client'
import { emptyPayload, type Json, type Schema, touchedFields, type Values } from '@holdfast/core'
import { type KeyboardEvent, type ReactElement, type Ref, useEffect, useId, useRef, useState } from 'react'

import { type FormField, RecordForm } from '../forms/record-form.tsx'
import { useFormat } from '../format/use-format.ts'
import { useHoldfast } from '../holdfast-context.ts'
import { useMutation } from '../hooks/use-mutation.ts'
import { useRecord } from '../hooks/use-record.ts'
import { ActionError } from './action-error.tsx'
import { Button } from './button.tsx'
import { classNames } from './class-names.ts'
import { Icon } from './icon.tsx'
import { RecordName } from './record-name.tsx'
import { useReturnFocus } from './use-return-focus.ts'
import { type RenderValue, ValueView } from './value-view.tsx'

/** What `DeadLetterCard` takes. */
export interface DeadLetterCardProps {
  readonly letter: DeadLetter
  readonly renderValue?: RenderValue
  readonly onExport?: () => void
  /** Nothing is done about it for now. */
  readonly isHeld?: boolean
  /** Called with what to read out once the letter is on its way or discarded. */
  readonly onGone?: (told: string) => void
  readonly className?: string
}

/** What a person does about a dead letter. */
type Act = (letters: Client<Schema>['deadLetters']) => Promise<unknown>

/** One dead letter: what it wanted, why it was refused, and the ways out. Rules: RE-10. */
export function DeadLetterCard({
  letter,
  renderValue,
  onExport,
  isHeld = false,
  onGone,
  className,
}: DeadLetterCardProps): ReactElement {
  const { labels } = useHoldfast()
  const words = labels.deadLetter
  const [mode, setMode] = useState<'shown' | 'edited' | 'discarded'>('shown')
  const headingId = useId()
  const edit = useRef<HTMLButtonElement>(null)
  const discard = useRef<HTMLButtonElement>(null)
  const act = useMutation(async (db, { does, told }: { readonly does: Act; readonly told: string }) => {
    await does(db.deadLetters)
    onGone?.(told)
  })
  const isBusy = act.status === 'writing' || isHeld
  useReturnFocus(mode === 'edited', edit)
  useReturnFocus(mode === 'discarded', discard)
  return (
    <article className={classNames('holdfast', 'holdfast-letter', className)} aria-labelledby={headingId}>
      <LetterHeader letter={letter} headingId={headingId} />
      <Reason letter={letter} />
      {letter.mutations.map((mutation) => (
        <MutationView key={mutation.id} mutation={mutation} renderValue={renderValue} />
      ))}
      {letter.behind.length === 0 ? null : (
        <p className="holdfast-note">{words.behind(letter.behind.length)}</p>
      )}
      <ActionError error={act.error} />
      <LetterActions
        {...{ letter, isBusy, onExport, edit, discard }}
        isHidden={mode !== 'shown'}
        onRetry={() => act.mutate({ does: (letters) => letters.retry(letter.id), told: words.retried })}
        onMode={setMode}
      />
      {mode === 'edited' ? (
        <EditLetter
          letter={letter}
          isBusy={isBusy}
          onSubmit={(id, changes, seen) =>
            act.mutate({ does: (letters) => letters.editAndRetry(id, changes, seen), told: words.retried })
          }
          onCancel={() => setMode('shown')}
        />
      ) : null}
      {mode === 'discarded' ? (
        <ConfirmDiscard
          isBusy={isBusy}
          onConfirm={() =>
            act.mutate({ does: (letters) => letters.discard(letter.id), told: words.discarded })
          }
          onCancel={() => setMode('shown')}
        />
      ) : null}
    </article>
  )
}

function Reason({ letter: { error } }: { readonly letter: DeadLetter }): ReactElement {
  const { labels } = useHoldfast()
  return (
    <p className="holdfast-reason">
      <Icon name="stop" />
      <span>
        {labels.error(error.code, error.message)}
        {error.message === '' ? null : <span className="holdfast-hint">{error.message}</span>}
      </span>
      <code className="holdfast-code">{error.code}</code>
    </p>
  )
}

interface LetterActionsProps {
  readonly letter: DeadLetter
  readonly isBusy: boolean
  readonly isHidden: boolean
  readonly edit: Ref<HTMLButtonElement>
  readonly discard: Ref<HTMLButtonElement>
  readonly onRetry: () => void
  readonly onMode: (mode: 'edited' | 'discarded') => void
  readonly onExport: (() => void) | undefined
}

function LetterActions(props: LetterActionsProps): ReactElement {
  const { letter, isBusy, onExport, onMode } = props
  const words = useHoldfast().labels.deadLetter
  // What cannot be read cannot be sent: the client refuses it.
  const isReadable = letter.mutations.every(({ payload }) => payload !== null)
  return (
    <div className="holdfast-actions" hidden={props.isHidden}>
      {isReadable ? (
        <Button tone="primary" isBusy={isBusy} onClick={props.onRetry}>
          {words.retry}
        </Button>
      ) : null}
      {letter.mutations.some(isEditable) ? (
        <Button buttonRef={props.edit} isBusy={isBusy} onClick={() => onMode('edited')}>
          {words.edit}
        </Button>
      ) : null}
      <Button buttonRef={props.discard} isBusy={isBusy} onClick={() => onMode('discarded')}>
        {words.discard}
      </Button>
      {onExport === undefined ? null : (
        <Button tone="quiet" onClick={onExport}>
          {words.export}
        </Button>
      )}
    </div>
  )
}

function LetterHeader({
  letter,
  headingId,
}: {
  readonly letter: DeadLetter
  readonly headingId: string
}): ReactElement {
  const { labels } = useHoldfast()
  const format = useFormat()
  const [first] = letter.mutations
  if (first === undefined) return <h3 id={headingId}>{letter.id}</h3>
  const attempts = first.attempts === 0 ? [] : [labels.deadLetter.attempts(first.attempts)]
  return (
    <header className="holdfast-conflict__header">
      <span className="holdfast-kicker">
        {labels.collection(first.collection)} · {isOp(first.op) ? labels.ops[first.op] : first.op}
      </span>
      <h3 id={headingId} tabIndex={-1}>
        <RecordName
          collection={first.collection}
          record={first.record}
          values={[first.payload?.changes ?? null]}
        />
      </h3>
      <span className="holdfast-hint">
        {[labels.deadLetter.refused(format.dateTime(first.createdAt)), ...attempts].join(' · ')}
      </span>
    </header>
  )
}

function isOp(op: string): op is 'create' | 'update' | 'delete' {
  return op === 'create' || op === 'update' || op === 'delete'
}

function isEditable({ op, payload }: DeadMutation): boolean {
  return op !== 'delete' && payload !== null
}

/** What the mutation wanted, field by field. */
function MutationView({
  mutation,
  renderValue,
}: {
  readonly mutation: DeadMutation
  readonly renderValue?: RenderValue
}): ReactElement | null {
  const { labels } = useHoldfast()
  const { payload, collection, op } = mutation
  if (payload === null) return <p className="holdfast-note">{labels.deadLetter.unreadable}</p>
  // A new record carries every field; those without a value say nothing.
  const isTold = (name: string): boolean => op !== 'create' || !isEmpty(payload.changes[name])
  const names = touchedFields(payload).filter(isTold)
  if (names.length === 0) return null
  return (
    <dl className="holdfast-values">
      {names.map((name) => (
        <div key={name}>
          <dt>{labels.fieldName(name, collection)}</dt>
          <dd>
            <Wanted mutation={mutation} name={name} renderValue={renderValue} />
          </dd>
        </div>
      ))}
    </dl>
  )
}

function isEmpty(value: Json | undefined): boolean {
  return value === null || value === '' || (Array.isArray(value) && value.length === 0)
}

/** A value, an amount with its sign, or what came and went. */
function Wanted({
  mutation,
  name,
  renderValue,
}: {
  readonly mutation: DeadMutation
  readonly name: string
  readonly renderValue?: RenderValue
}): ReactElement {
  const { changes, increments, additions, removals } = mutation.payload ?? emptyPayload
  const view = (value: Json): ReactElement => (
    <ValueView value={value} collection={mutation.collection} field={name} renderValue={renderValue} />
  )
  if (Object.hasOwn(changes, name)) return view(changes[name] ?? null)
  const amount = increments[name]
  if (amount !== undefined) return <>{amount < 0 ? amount : `+${amount}`}</>
  const [added, removed] = [additions[name] ?? [], removals[name] ?? []]
  return (
    <>
      {added.length === 0 ? null : <>+ {view([...added])}</>}
      {removed.length === 0 ? null : <>− {view([...removed])}</>}
    </>
  )
}

interface EditLetterProps {
  readonly letter: DeadLetter
  readonly isBusy: boolean
  /** `seen`: the fields as the form was opened with them. */
  readonly onSubmit: (mutation: string, changes: Values, seen: Values) => void
  readonly onCancel: () => void
}

/** The record of the culprit: the first member that was refused for a reason of its own and has values. */
function EditLetter({ letter, isBusy, onSubmit, onCancel }: EditLetterProps): ReactElement | null {
  const editable = letter.mutations.filter(isEditable)
  const mutation = editable.find(({ error }) => error.code !== 'DEPENDENCY_FAILED') ?? editable[0]
  const { record, status } = useRecord<Values>(mutation?.collection ?? '', mutation?.record ?? null)
  if (mutation === undefined || status === 'pending') return null
  return (
    <EditMutation
      key={mutation.id}
      {...{ mutation, record, isBusy, onCancel }}
      onSubmit={(changes, seen) => onSubmit(mutation.id, changes, seen)}
    />
  )
}

interface EditMutationProps {
  readonly mutation: DeadMutation
  readonly record: Values | undefined
  readonly isBusy: boolean
  readonly onSubmit: (changes: Values, seen: Values) => void
  readonly onCancel: () => void
}

/** Whatever becomes of the record meanwhile, only what was edited is sent, and counts from what was shown. */
function EditMutation(props: EditMutationProps): ReactElement {
  const { labels } = useHoldfast()
  const [fields] = useState(() => fieldsOf(props.mutation, props.record))
  const seen: Values = Object.fromEntries(fields.map(({ key, value }) => [key, value]))
  return (
    <RecordForm
      title={labels.deadLetter.editTitle}
      fields={fields}
      submit={labels.deadLetter.saveAndRetry}
      cancel={labels.deadLetter.cancel}
      isBusy={props.isBusy}
      onSubmit={(_, changed) => props.onSubmit(changed, seen)}
      onCancel={props.onCancel}
    />
  )
}

/** The fields the mutation touches, as the record shows them: with it and what was written since. */
function fieldsOf({ payload, collection }: DeadMutation, record: Values | undefined): readonly FormField[] {
  const { changes } = payload ?? emptyPayload
  const shown = record ?? changes
  return touchedFields(payload ?? emptyPayload).map((name) => ({
    key: name,
    collection,
    name,
    value: shown[name] ?? null,
  }))
}

/** Asks before something is gone for good. Focus goes to the way back. */
function ConfirmDiscard({
  isBusy,
  onConfirm,
  onCancel,
}: {
  readonly isBusy: boolean
  readonly onConfirm: () => void
  readonly onCancel: () => void
}): ReactElement {
  const { labels } = useHoldfast()
  const id = useId()
  const cancel = useRef<HTMLButtonElement>(null)
  useEffect(() => cancel.current?.focus(), [])
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') onCancel()
  }
  return (
    <div
      role="alertdialog"
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-hint`}
      className="holdfast-confirm"
      onKeyDown={onKeyDown}
    >
      <strong id={`${id}-title`}>{labels.deadLetter.discardTitle}</strong>
      <p id={`${id}-hint`}>{labels.deadLetter.discardHint}</p>
      <div className="holdfast-actions">
        <Button tone="danger" isBusy={isBusy} onClick={onConfirm}>
          {labels.deadLetter.discardConfirm}
        </Button>
        <Button buttonRef={cancel} onClick={onCancel}>
          {labels.deadLetter.cancel}
        </Button>
      </div>
    </div>
  )
}
