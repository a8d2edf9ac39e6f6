import { mistakeIn } from './check-fields.ts'
import { fieldNameMistake } from './reserved-names.ts'
import type { CollectionDeclaration, FieldGroup, GroupDeclaration } from './schema.ts'

const groupRules: readonly string[] = ['ask', 'latest', 'server']

/** The field groups of a collection, checked. Errors: SCHEMA_INVALID. Rules: SCH-6. */
export function checkGroups(collection: string, declaration: CollectionDeclaration): readonly FieldGroup[] {
  const groupByField = new Map<string, string>()
  const groups: FieldGroup[] = []
  for (const [name, declared] of Object.entries(declaration.groups ?? {})) {
    const group = groupOf(name, declared)
    const mistake = fieldNameMistake(name) ?? groupMistake(group)
    if (mistake !== undefined) throw mistakeIn(collection, `groups.${name}`, mistake)
    for (const field of group.fields) {
      const member = memberMistake(declaration, field) ?? twiceMistake(groupByField.get(field))
      if (member !== undefined) throw mistakeIn(collection, `groups.${name}`, `${field} ${member}`)
      groupByField.set(field, name)
    }
    groups.push(group)
  }
  return groups
}

function groupOf(name: string, declared: GroupDeclaration): FieldGroup {
  if (isList(declared)) return { name, fields: declared, merge: { rule: 'ask' } }
  return { name, fields: declared.fields, merge: { rule: declared.merge ?? 'ask' } }
}

/** `Array.isArray` that keeps the element type of a readonly list. */
export function isList<Item, Other>(value: readonly Item[] | Other): value is readonly Item[] {
  return Array.isArray(value)
}

function groupMistake(group: FieldGroup): string | undefined {
  if (group.fields.length < 2) return 'a group has at least two fields'
  if (!groupRules.includes(group.merge.rule)) return `a group merges by ${groupRules.join(', ')}`
  return undefined
}

function memberMistake(declaration: CollectionDeclaration, name: string): string | undefined {
  const field = Object.hasOwn(declaration.fields, name) ? declaration.fields[name] : undefined
  if (!field) return 'is no field of the collection'
  if (field.kind === 'counter' || field.kind === 'set')
    return `is a ${field.kind}, which always merges by itself`
  if (field.merge.rule !== 'ask') return 'has a merge rule of its own; name the rule at the group instead'
  if (field.owner === 'server') return 'is set by the server alone and cannot travel with the others'
  return undefined
}

function twiceMistake(group: string | undefined): string | undefined {
  return group === undefined ? undefined : `is in the group "${group}" already`
}
