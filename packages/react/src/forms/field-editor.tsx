import type { FieldSchema, Json } from '@holdfast/core'
import type { ReactElement } from 'react'

import { useHoldfast } from '../holdfast-context.ts'
import { type EditorKind, editorKindOf, valueToText } from './field-text.ts'

/** What a field is edited as. */
export interface EditedField {
  readonly key: string
  readonly label: string
  readonly schema: FieldSchema | undefined
  readonly kind: EditorKind
  readonly text: string
  /** The value that the text was made of; no editor shows every part of every value. */
  readonly given: { readonly value: Json; readonly text: string }
}

/** A field as it stands in a form before anybody typed. `samples` are values it has or had, to tell what it is. */
export function editedField(
  named: Pick<EditedField, 'key' | 'label' | 'schema'>,
  value: Json,
  samples: readonly Json[],
): EditedField {
  const kind = editorKindOf(named.schema?.kind, [value, ...samples])
  const text = valueToText(kind, value)
  return { ...named, kind, text, given: { value, text } }
}

/** What `FieldEditor` takes. */
export interface FieldEditorProps {
  readonly field: EditedField
  readonly id: string
  readonly mistake: string | null
  readonly onText: (text: string) => void
  /** A description shown elsewhere. */
  readonly describedBy?: string
}

/** The control a field is edited in, with its label and what is wrong with it. */
export function FieldEditor({ field, id, mistake, onText, describedBy }: FieldEditorProps): ReactElement {
  const { labels } = useHoldfast()
  const hint = field.kind === 'list' ? labels.form.listHint : null
  const notes = [hint === null ? null : `${id}-hint`, mistake === null ? null : `${id}-mistake`, describedBy]
  const props = {
    id,
    className: 'holdfast-input',
    value: field.text,
    'aria-invalid': mistake !== null,
    'aria-describedby': notes.filter((note) => typeof note === 'string').join(' ') || undefined,
    onChange: (event: { readonly target: { readonly value: string } }) => onText(event.target.value),
  }
  return (
    <div className="holdfast-field">
      <label htmlFor={id}>{field.label}</label>
      <Control kind={field.kind} props={props} />
      {hint === null ? null : (
        <span id={`${id}-hint`} className="holdfast-hint">
          {hint}
        </span>
      )}
      {mistake === null ? null : (
        <span id={`${id}-mistake`} className="holdfast-mistake">
          {mistake}
        </span>
      )}
    </div>
  )
}

interface ControlProps {
  readonly kind: EditorKind
  readonly props: {
    readonly id: string
    readonly className: string
    readonly value: string
    readonly onChange: (event: { readonly target: { readonly value: string } }) => void
  }
}

function Control({ kind, props }: ControlProps): ReactElement {
  const { labels } = useHoldfast()
  switch (kind) {
    case 'line':
      return <input type="text" {...props} />
    case 'decimal':
      return <input type="text" inputMode="decimal" {...props} />
    case 'number':
      return <input type="number" step="any" {...props} />
    case 'time':
      return <input type="datetime-local" step="any" {...props} />
    case 'boolean':
      return (
        <select {...props}>
          <option value="">{labels.form.nothing}</option>
          <option value="true">{labels.form.true}</option>
          <option value="false">{labels.form.false}</option>
        </select>
      )
    case 'fixed':
      return <output id={props.id}>{props.value}</output>
    case 'lines':
      return <textarea rows={5} {...props} />
    case 'list':
      return <textarea rows={3} {...props} />
    case 'json':
      return (
        <textarea rows={6} spellCheck={false} {...props} className="holdfast-input holdfast-input--code" />
      )
  }
}
