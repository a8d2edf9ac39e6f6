import { limits } from '../limits.ts'
import { mistakeIn } from './check-fields.ts'
import { isList } from './check-groups.ts'
import { numberedField } from '../values/unique-key.ts'
import type { FieldKind } from './field.ts'
import type { FieldSchema, UniqueDeclaration, UniqueKey, UniquePolicy } from './schema.ts'
import { everyScope, globalScope, parseScopeTemplate, type ScopeTemplate } from './scope-template.ts'

type FieldsByName = ReadonlyMap<string, FieldSchema>

const scopeKinds: readonly FieldKind[] = ['text', 'integer', 'reference']
const uniqueKinds: readonly FieldKind[] = ['text', 'integer', 'decimal', 'boolean', 'timestamp', 'reference']
const indexKinds: readonly FieldKind[] = [...uniqueKinds, 'real', 'counter']
const policies: readonly UniquePolicy[] = ['reject', 'rename', 'ask']

/** The scope templates of a collection, checked. Errors: SCHEMA_INVALID. Rules: SCH-7. */
export function buildScopes(
  collection: string,
  declared: string | readonly string[] | undefined,
  fields: FieldsByName,
): readonly ScopeTemplate[] {
  const texts = declared === undefined ? [] : typeof declared === 'string' ? [declared] : declared
  if (new Set(texts).size < texts.length) throw mistakeIn(collection, 'scope', 'names a template twice')
  return texts.map((text) => {
    const template = parseScopeTemplate(text)
    if (!template) throw mistakeIn(collection, 'scope', `"${text}" has braces that do not match`)
    const mistake = templateMistake(template) ?? scopeFieldMistake(template, fields)
    if (mistake !== undefined) throw mistakeIn(collection, 'scope', `"${text}" ${mistake}`)
    return template
  })
}

/** A value must not be able to spell the scope of other rows: that is why words stand before and between fields. */
function templateMistake(template: ScopeTemplate): string | undefined {
  const [first = '', ...others] = template.literals
  if (template.text.length > limits.scopeLength) return `is longer than ${limits.scopeLength} characters`
  if (
    first === '' ||
    first.startsWith('~') ||
    template.text === globalScope ||
    first.startsWith(everyScope)
  ) {
    return "must begin with a word of its own, such as 'warehouse:{warehouseId}'"
  }
  if (others.slice(0, -1).includes(''))
    return "has two fields side by side; put a sign between them: '{a}:{b}'"
  return undefined
}

function scopeFieldMistake(template: ScopeTemplate, fields: FieldsByName): string | undefined {
  for (const name of template.fields) {
    const field = fields.get(name)
    if (!field) return `names ${name}, which is no field of the collection`
    if (!scopeKinds.includes(field.kind)) {
      return `names ${name}, a ${field.kind}; a scope is made of ${scopeKinds.join(', ')}`
    }
  }
  return undefined
}

/** The unique keys of a collection, checked. Errors: SCHEMA_INVALID. Rules: SCH-8. */
export function buildUnique(
  collection: string,
  declared: readonly UniqueDeclaration[],
  { fields, scopes }: { readonly fields: FieldsByName; readonly scopes: readonly ScopeTemplate[] },
): readonly UniqueKey[] {
  const keys = declared.map((declaration): UniqueKey => {
    const key = isList(declaration) ? { fields: declaration } : declaration
    return { fields: key.fields, onConflict: key.onConflict ?? 'reject', ignoreCase: key.ignoreCase ?? false }
  })
  for (const [index, key] of keys.entries()) {
    const mistake =
      listMistake(key.fields, { kinds: uniqueKinds, fields }) ??
      uniqueMistake(key, { fieldsByName: fields, scopes }) ??
      (keys.slice(0, index).some((other) => isSameList(other.fields, key.fields))
        ? 'is declared twice'
        : undefined)
    if (mistake !== undefined) throw mistakeIn(collection, 'unique', `[${key.fields.join(', ')}] ${mistake}`)
  }
  return keys
}

function uniqueMistake(key: UniqueKey, collection: Parameters<typeof numberedField>[0]): string | undefined {
  const optional = key.fields.find((name) => collection.fieldsByName.get(name)?.optional)
  if (optional !== undefined)
    return `names ${optional}, which is optional; a part of a key always has a value`
  if (!policies.includes(key.onConflict)) return `onConflict is one of ${policies.join(', ')}`
  if (key.onConflict === 'rename' && numberedField(collection, key) === undefined) {
    return 'has no text field that could be renamed; use reject or ask'
  }
  return undefined
}

/** The indexes of a collection, checked. Errors: SCHEMA_INVALID. Rules: SCH-8. */
export function buildIndexes(
  collection: string,
  declared: readonly (readonly string[])[],
  fields: FieldsByName,
): readonly (readonly string[])[] {
  for (const [index, names] of declared.entries()) {
    const mistake =
      listMistake(names, { kinds: indexKinds, fields }) ??
      (declared.slice(0, index).some((other) => isSameList(other, names)) ? 'is declared twice' : undefined)
    if (mistake !== undefined) throw mistakeIn(collection, 'indexes', `[${names.join(', ')}] ${mistake}`)
  }
  return declared
}

function listMistake(
  names: readonly string[],
  allowed: { readonly kinds: readonly FieldKind[]; readonly fields: FieldsByName },
): string | undefined {
  if (names.length === 0) return 'names no field'
  if (new Set(names).size < names.length) return 'names a field twice'
  for (const name of names) {
    const field = allowed.fields.get(name)
    if (!field) return `names ${name}, which is no field of the collection`
    if (!allowed.kinds.includes(field.kind))
      return `names ${name}, a ${field.kind}, which cannot be compared in order`
  }
  return undefined
}

function isSameList(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name, index) => name === right[index])
}
