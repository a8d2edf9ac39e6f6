import { type Json, jsonEqual, type Values } from '@holdfast/core'
import { type FormEvent, type ReactElement, useEffect, useId, useRef, useState } from 'react'

import { Button } from '../components/button.tsx'
import { useHoldfast } from '../holdfast-context.ts'
import { type EditedField, editedField, FieldEditor } from './field-editor.tsx'
import { textToValue, valueToText } from './field-text.ts'

/** A value that a click puts into the form. */
export interface Suggestion {
  readonly label: string
  /** What is read out: the label, and which field it is for. */
  readonly spoken: string
  readonly value: Json
}

/** A field that is edited. */
export interface FormField {
  /** Names it among the fields of the form. */
  readonly key: string
  readonly collection: string
  readonly name: string
  readonly value: Json
  readonly suggestions?: readonly Suggestion[]
}

/** What `RecordForm` takes. */
export interface RecordFormProps {
  readonly title: string
  readonly fields: readonly FormField[]
  readonly submit: string
  readonly cancel: string
  readonly isBusy: boolean
  /** Every field as it is now, by key, and those that are other than they were when the form was opened. */
  readonly onSubmit: (values: Values, changed: Values) => void
  readonly onCancel: () => void
}

/**
 * Fields in a form, as they were when it was opened: what comes later changes nothing of it. The first is focused when it
 * opens; Escape cancels. What nobody typed into has the very value that it had.
 */
export function RecordForm(props: RecordFormProps): ReactElement {
  const { labels } = useHoldfast()
  const id = useId()
  const form = useRef<HTMLFormElement>(null)
  const [opened] = useState(props.fields)
  const { edited, type, pick } = useEditedFields(opened)
  const [mistakes, setMistakes] = useState<Readonly<Record<string, string>>>({})
  useEffect(() => {
    form.current?.querySelector<HTMLElement>('input, textarea, select')?.focus()
  }, [])

  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (props.isBusy) return
    const { values, wrong } = readFields(edited)
    setMistakes(Object.fromEntries(wrong.map((key) => [key, labels.form.invalidJson])))
    const [first] = wrong
    if (first === undefined) props.onSubmit(values, changedOf(opened, values))
    else form.current?.querySelector<HTMLElement>(`[id="${id}-${first}"]`)?.focus()
  }

  return (
    <form
      ref={form}
      className="holdfast-form"
      aria-label={props.title}
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return
        event.stopPropagation()
        props.onCancel()
      }}
    >
      <strong className="holdfast-form__title">{props.title}</strong>
      {edited.map((field, index) => (
        <div key={field.key} className="holdfast-form__row">
          <FieldEditor
            field={field}
            id={`${id}-${field.key}`}
            mistake={mistakes[field.key] ?? null}
            onText={(text) => type(index, text)}
          />
          <Suggestions
            suggestions={opened[index]?.suggestions ?? []}
            onPick={(value) => pick(index, value)}
          />
        </div>
      ))}
      <div className="holdfast-actions">
        <Button type="submit" tone="primary" isBusy={props.isBusy}>
          {props.submit}
        </Button>
        <Button onClick={props.onCancel}>{props.cancel}</Button>
      </div>
    </form>
  )
}

/** The fields as they stand in the form, and the ways to put text or a value into one. */
function useEditedFields(fields: readonly FormField[]): {
  readonly edited: readonly EditedField[]
  readonly type: (index: number, text: string) => void
  readonly pick: (index: number, value: Json) => void
} {
  const { schema, labels } = useHoldfast()
  const [edited, setEdited] = useState<readonly EditedField[]>(() =>
    fields.map(({ key, collection, name, value, suggestions = [] }) => {
      const fieldSchema = schema.collections.get(collection)?.fieldsByName.get(name)
      const named = { key, label: labels.fieldName(name, collection), schema: fieldSchema }
      return editedField(
        named,
        value,
        suggestions.map((suggestion) => suggestion.value),
      )
    }),
  )
  const put = (index: number, change: (field: EditedField) => Partial<EditedField>): void =>
    setEdited((before) => before.map((field, n) => (n === index ? { ...field, ...change(field) } : field)))
  return {
    edited,
    type: (index, text) => put(index, () => ({ text })),
    pick: (index, value) =>
      put(index, ({ kind }) => {
        const text = valueToText(kind, value)
        return { text, given: { value, text } }
      }),
  }
}

function changedOf(opened: readonly FormField[], values: Values): Values {
  return Object.fromEntries(
    opened.flatMap(({ key, value }) => {
      const now = values[key]
      return now === undefined || jsonEqual(now, value) ? [] : [[key, now]]
    }),
  )
}

function Suggestions({
  suggestions,
  onPick,
}: {
  readonly suggestions: readonly Suggestion[]
  readonly onPick: (value: Json) => void
}): ReactElement | null {
  if (suggestions.length === 0) return null
  return (
    <div className="holdfast-form__suggestions">
      {suggestions.map(({ label, spoken, value }) => (
        <Button key={label} tone="quiet" aria-label={spoken} onClick={() => onPick(value)}>
          {label}
        </Button>
      ))}
    </div>
  )
}

/** Values by key, and the keys of fields that hold none. */
function readFields(fields: readonly EditedField[]): {
  readonly values: Values
  readonly wrong: readonly string[]
} {
  const values: Record<string, Json> = {}
  const wrong: string[] = []
  for (const { key, kind, text, schema, given } of fields) {
    if (text === given.text) {
      values[key] = given.value
      continue
    }
    const read = textToValue(kind, text, {
      isNumberList: schema?.of === 'integer',
      isOptional: schema?.optional !== false,
    })
    if ('value' in read) values[key] = read.value
    else wrong.push(key)
  }
  return { values, wrong }
}
