import type { Field, MergeRule } from './field.ts'
import type { ScopeTemplate } from './scope-template.ts'

/** What happens when two records have the same unique key. */
export type UniquePolicy = 'reject' | 'rename' | 'ask'

/** What happens when one side deletes what the other edits. `delete` and `edit` name the winner. */
export type DeleteRule = 'ask' | 'delete' | 'edit'

/** A unique key as declared: a list of fields, or with a policy and a folding of its text. */
export type UniqueDeclaration =
  | readonly string[]
  | {
      readonly fields: readonly string[]
      /** `reject` unless said. `rename` changes the last text field of the key, beside those that a scope or a state is made of. */
      readonly onConflict?: UniquePolicy
      /** Compare without regard to case. Text in keys is compared in Unicode form NFC either way. */
      readonly ignoreCase?: boolean
    }

/** Fields that merge as one, such as an address: a list, or with a rule. */
export type GroupDeclaration =
  | readonly string[]
  | { readonly fields: readonly string[]; readonly merge?: 'ask' | 'latest' | 'server' }

/** A collection as an app declares it. */
export interface CollectionDeclaration<Fields extends Record<string, Field> = Record<string, Field>> {
  readonly fields: Fields
  /** Who may see a row, from its own columns: 'warehouse:{warehouseId}'. Without one, every signed-in user sees it. */
  readonly scope?: string | readonly string[]
  readonly unique?: readonly UniqueDeclaration[]
  readonly indexes?: readonly (readonly string[])[]
  /** `soft` (default) keeps deleted rows in the server's table with deleted_at; `hard` removes them. */
  readonly deletes?: 'soft' | 'hard'
  /** Any concurrent change to the record is a conflict. */
  readonly strict?: boolean
  readonly groups?: Readonly<Record<string, GroupDeclaration>>
  /** `ask` (default), or the side that wins when a delete meets an edit. */
  readonly onDelete?: DeleteRule
  /** `coalesce` (default) folds unsent edits of a record; `preserve` sends every one. */
  readonly outbox?: 'coalesce' | 'preserve'
  /** Higher goes first, up and down; 0 unless said. */
  readonly priority?: number
  /** Its conflicts are decided by those whom the server's `mayReview` names, and by nobody else. */
  readonly review?: boolean
}

/** A group of fields after defineSchema. */
export interface FieldGroup {
  readonly name: string
  readonly fields: readonly string[]
  readonly merge: MergeRule
}

/** A unique key after defineSchema. */
export interface UniqueKey {
  readonly fields: readonly string[]
  readonly onConflict: UniquePolicy
  readonly ignoreCase: boolean
}

/** A field after defineSchema: it knows its name and group. */
export interface FieldSchema extends Field {
  readonly name: string
  readonly group: FieldGroup | undefined
}

/** A collection after defineSchema, with everything spelled out. Shared by both sides; never changes. */
export interface CollectionSchema {
  readonly name: string
  /** In the order declared. */
  readonly fields: readonly FieldSchema[]
  readonly fieldsByName: ReadonlyMap<string, FieldSchema>
  /** Empty: every signed-in user sees the rows, under the scope `globalScope`. */
  readonly scopes: readonly ScopeTemplate[]
  readonly unique: readonly UniqueKey[]
  readonly indexes: readonly (readonly string[])[]
  readonly deletes: 'soft' | 'hard'
  readonly strict: boolean
  readonly groups: readonly FieldGroup[]
  readonly onDelete: DeleteRule
  readonly outbox: 'coalesce' | 'preserve'
  readonly priority: number
  readonly review: boolean
}

/** Fields by name, by collection name: the shape the types are inferred from. */
export type FieldsByCollection = Readonly<Record<string, Readonly<Record<string, Field>>>>

/** A checked schema. `Collections` carries the types of rows, inserts and updates. */
export interface Schema<Collections extends FieldsByCollection = FieldsByCollection> {
  readonly version: number
  readonly collections: ReadonlyMap<string, CollectionSchema>
  /** Types only; never set. */
  readonly '~collections'?: Collections
}

type FieldsOf<Declarations> = {
  readonly [Name in keyof Declarations]: Declarations[Name] extends { readonly fields: infer Fields }
    ? Fields
    : never
}

/** The schema type that `defineSchema` infers from a record of collections. */
export type SchemaOf<Declarations> = Schema<
  FieldsOf<Declarations> extends FieldsByCollection ? FieldsOf<Declarations> : never
>
