import type { ConflictPart } from '@holdfast/client'
import type { ReactElement } from 'react'

import { useHoldfast } from '../holdfast-context.ts'
import { type ComparedField, comparedFields, type SideNames } from './conflict-sides.ts'
import { Icon } from './icon.tsx'
import { type RenderValue, ValueView } from './value-view.tsx'

/** What `ConflictPartView` takes. */
export interface ConflictPartViewProps {
  readonly part: ConflictPart
  readonly sides: SideNames
  readonly caption: string
  readonly renderValue?: RenderValue
}

/** One record of a conflict: both versions side by side, the differing fields marked, and the rule under each. */
export function ConflictPartView({ part, sides, caption, renderValue }: ConflictPartViewProps): ReactElement {
  const { labels } = useHoldfast()
  const fields = comparedFields(part)
  return (
    <div className="holdfast-part">
      {part.isInDispute ? null : <p className="holdfast-hint">{labels.conflict.waits}</p>}
      <table className="holdfast-compare">
        <caption className="holdfast-hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">{labels.conflict.field}</th>
            <th scope="col" data-side="mine">
              {sides.mine}
            </th>
            <th scope="col" data-side="theirs">
              {sides.theirs}
            </th>
          </tr>
        </thead>
        <tbody>
          {fields.map((field) => (
            <FieldRow key={field.name} field={field} part={part} sides={sides} renderValue={renderValue} />
          ))}
          {fields.length === 0 ? <FieldlessRow part={part} sides={sides} /> : null}
        </tbody>
      </table>
      {part.explanation === null ? null : (
        <p className="holdfast-rule">{labels.conflict.rule(part.explanation, null)}</p>
      )}
    </div>
  )
}

interface FieldRowProps extends Omit<ConflictPartViewProps, 'caption'> {
  readonly field: ComparedField
}

function FieldRow({ field, part, sides, renderValue }: FieldRowProps): ReactElement {
  const { labels } = useHoldfast()
  const { name, before, mine, theirs, isDifferent } = field
  // Where one side deleted the record, the question is whether it stays.
  const rule = part.mine === null || part.theirs === null ? undefined : part.explanations[name]
  return (
    <tr data-differs={isDifferent || undefined}>
      <th scope="row">
        <span className="holdfast-compare__name">
          {isDifferent ? <Icon name="split" /> : null}
          {labels.fieldName(name, part.collection)}
          {isDifferent ? <span className="holdfast-hidden">{` (${labels.conflict.differs})`}</span> : null}
        </span>
        {before === undefined || !isDifferent ? null : (
          <span className="holdfast-hint">
            {labels.conflict.before(shortText(before, labels.conflict.empty))}
          </span>
        )}
        {rule === undefined || !isDifferent ? null : (
          <span className="holdfast-rule">{labels.conflict.rule(rule, name)}</span>
        )}
      </th>
      <td data-side="mine" data-label={sides.mine}>
        {part.mine === null ? (
          <Deleted text={labels.conflict.deletedHere} />
        ) : (
          <Side value={mine} {...{ part, name, renderValue }} />
        )}
      </td>
      <td data-side="theirs" data-label={sides.theirs}>
        {part.theirs === null ? (
          <Deleted text={labels.conflict.deletedThere} />
        ) : (
          <Side value={theirs} {...{ part, name, renderValue }} />
        )}
      </td>
    </tr>
  )
}

/** Nothing to compare but whether the record stays. */
function FieldlessRow({
  part,
  sides,
}: {
  readonly part: ConflictPart
  readonly sides: SideNames
}): ReactElement {
  const { labels } = useHoldfast()
  const name = labels.collection(part.collection)
  return (
    <tr data-differs>
      <th scope="row">{name}</th>
      <td data-side="mine" data-label={sides.mine}>
        {part.mine === null ? <Deleted text={labels.conflict.deletedHere} /> : name}
      </td>
      <td data-side="theirs" data-label={sides.theirs}>
        {part.theirs === null ? <Deleted text={labels.conflict.deletedThere} /> : name}
      </td>
    </tr>
  )
}

function Side({
  value,
  part,
  name,
  renderValue,
}: {
  readonly value: ComparedField['mine']
  readonly part: ConflictPart
  readonly name: string
  readonly renderValue?: RenderValue
}): ReactElement {
  if (value === undefined) return <span className="holdfast-empty">–</span>
  return <ValueView value={value} collection={part.collection} field={name} renderValue={renderValue} />
}

function Deleted({ text }: { readonly text: string }): ReactElement {
  return (
    <span className="holdfast-deleted">
      <Icon name="stop" />
      {text}
    </span>
  )
}

/** One line of a value, for a remark beside others. */
function shortText(value: ComparedField['mine'], empty: string): string {
  if (value === null || value === undefined || value === '') return empty
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}
