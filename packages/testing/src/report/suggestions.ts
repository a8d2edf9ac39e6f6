import { type CollectionSchema, type FieldSchema, numberedField, type Schema } from '@holdfast/core'

import type { FieldFigures, SimulationReport } from './report.ts'

type Counted = Pick<SimulationReport, 'fields' | 'deletes' | 'unique'>

/** A field that is in question. */
interface FieldCase {
  readonly figures: FieldFigures
  readonly field: FieldSchema
  readonly collection: CollectionSchema
  /** `orders.status`, in code quotes. */
  readonly name: string
  /** Whether a scope or a unique key is made of it: it is compared, so that it is neither prose nor a sum of amounts. */
  readonly isName: boolean
  /** Share of its edits that met another one, such as "12 %". */
  readonly share: string
}

/** Fewer cases than this prove nothing. */
const leastCases = 20
/** A share of the edits below this is worth no other rule. */
const leastShare = 0.02
/** A share of the edits above this is worth a word about a rule that already decides by itself. */
const largeShare = 0.1

/** What might be declared otherwise, and when the figures say so: the first row that fits a field speaks for it. Rules: SIM-78. */
const fieldAdvice: readonly {
  readonly fits: (each: FieldCase) => boolean
  readonly says: (each: FieldCase) => string
}[] = [
  {
    fits: ({ collection }) => collection.strict,
    says: ({ figures, share }) =>
      `\`${figures.collection}\` is \`strict\`, and ${share} of the edits of \`${figures.field}\` wait for a person: without it only edits of the same field would.`,
  },
  {
    fits: isAmount,
    says: ({ figures, name }) =>
      `${name} is an integer that was set ${figures.met} times while somebody else set it too: if people add to it and take away, \`counter()\` keeps every change.`,
  },
  {
    fits: ({ field }) => field.group !== undefined && field.group.merge.rule === 'ask',
    says: ({ field, name, share }) =>
      `${name} merges as one with the rest of \`${field.group?.name}\`, and ${share} of its edits meet another edit: if the newest may stand, give the group \`merge: 'latest'\`.`,
  },
  {
    fits: ({ field, figures }) => field.kind === 'json' && figures.rule === 'ask',
    says: ({ name, share }) =>
      `${name} is JSON and merges as one, and ${share} of its edits meet another edit: fields of their own would meet less often.`,
  },
  {
    fits: ({ field, figures, isName }) => field.kind === 'text' && figures.rule === 'ask' && !isName,
    says: ({ name, share }) =>
      `${name} is \`ask\`, and ${share} of its edits meet another edit: if the newest may stand, declare \`merge: 'latest'\`; if it is prose, \`merge: 'paragraphs'\`.`,
  },
  {
    fits: ({ figures }) => figures.rule === 'ask',
    says: ({ name, share }) =>
      `${name} is \`ask\`, and ${share} of its edits meet another edit: if the newest may stand, declare \`merge: 'latest'\`.`,
  },
  {
    fits: ({ figures }) =>
      (figures.rule === 'latest' || figures.rule === 'server') && figures.met >= figures.edits * largeShare,
    says: ({ figures, name, share }) =>
      `${name} is \`${figures.rule}\`, and ${share} of its edits meet another edit, so that one of two is set aside: if none may be missed, leave it at \`ask\`.`,
  },
]

/** What may be a counter: neither one of a group, nor the larger or the smaller of two. */
function isAmount({ field, isName }: FieldCase): boolean {
  const { kind, merge, group } = field
  return kind === 'integer' && group === undefined && !isName && merge.rule !== 'max' && merge.rule !== 'min'
}

/** Sentences about a schema that its figures support, the most contended first. Rules: SIM-78. */
export function suggest(schema: Schema, counted: Counted): readonly string[] {
  return [
    ...onePerStrictCollection(schema, counted.fields).flatMap((figures) => onField(schema, figures) ?? []),
    ...counted.unique.flatMap((each) => onKey(schema, each) ?? []),
    ...counted.deletes.flatMap((each) => onDeletes(each) ?? []),
  ]
}

/** What is said of a strict collection is said once. */
function onePerStrictCollection(schema: Schema, fields: readonly FieldFigures[]): readonly FieldFigures[] {
  const told = new Set<string>()
  return fields.filter(({ collection }) => {
    if (schema.collections.get(collection)?.strict !== true) return true
    const isFirst = !told.has(collection)
    told.add(collection)
    return isFirst
  })
}

function onField(schema: Schema, figures: FieldFigures): string | undefined {
  const collection = schema.collections.get(figures.collection)
  const field = collection?.fieldsByName.get(figures.field)
  if (!collection || !field || figures.met < leastCases || figures.met < figures.edits * leastShare)
    return undefined
  const each: FieldCase = {
    figures,
    field,
    collection,
    name: `\`${figures.collection}.${figures.field}\``,
    isName: [...collection.scopes, ...collection.unique].some(({ fields }) => fields.includes(figures.field)),
    share: percent(figures.met, figures.edits),
  }
  return fieldAdvice.find(({ fits }) => fits(each))?.says(each)
}

function onKey(
  schema: Schema,
  { collection, fields, policy, count }: SimulationReport['unique'][number],
): string | undefined {
  if (policy !== 'reject' || count < leastCases) return undefined
  const key =
    fields.length > 0
      ? `unique [${fields.join(', ')}] of \`${collection}\``
      : `a unique key of \`${collection}\``
  const declared = schema.collections.get(collection)
  const isRenamable = declared !== undefined && numberedField(declared, { fields }) !== undefined
  const rename = isRenamable ? "`onConflict: 'rename'` would keep both under two names, and " : ''
  return `${key} refused ${count} writes that wanted the key of another record: ${rename}\`onConflict: 'ask'\` would show both to a person.`
}

function onDeletes({ collection, rule, asked }: SimulationReport['deletes'][number]): string | undefined {
  if (rule !== 'ask' || asked < leastCases) return undefined
  return `a delete and an edit of \`${collection}\` met ${asked} times, and a person was asked: \`onDelete: 'edit'\` would keep the record, \`onDelete: 'delete'\` would not.`
}

function percent(part: number, whole: number): string {
  const share = (100 * part) / Math.max(1, whole)
  return `${share < 10 ? share.toFixed(1) : Math.round(share)} %`
}
