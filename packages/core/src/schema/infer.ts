import type { Field } from './field.ts'
import type { Schema } from './schema.ts'

/** The state of a record on a device. `failed` has a dead letter, `conflicted` waits for a person. */
export type RecordState = 'clean' | 'pending' | 'syncing' | 'conflicted' | 'failed'

/** What every record carries on a device beside its fields. Times are ISO 8601 with ms. */
export interface RecordMeta {
  readonly _created_at: string
  readonly _updated_at: string
  /** When the server last changed it; null before the server has it. */
  readonly _server_updated_at: string | null
  /** 0 before the server has it. */
  readonly _version: number
  readonly _state: RecordState
}

type Simplify<Shape> = { [Key in keyof Shape]: Shape[Key] }
type Fields = Readonly<Record<string, Field>>
type FieldValue<F> = F extends Field<infer Value> ? Value : never
type RequiredNames<F extends Fields> = {
  [Name in keyof F]: F[Name] extends Field<unknown, true> ? Name : never
}[keyof F]

/** A row as the app reads it. */
export type RowOf<F extends Fields> = Simplify<
  { readonly id: string } & { readonly [Name in keyof F]: FieldValue<F[Name]> } & RecordMeta
>

/** What an insert takes: `id` may be given, fields that are optional or have a default may be left out. */
export type InsertOf<F extends Fields> = Simplify<
  { readonly id?: string } & { readonly [Name in RequiredNames<F>]: FieldValue<F[Name]> } & {
    readonly [Name in Exclude<keyof F, RequiredNames<F>>]?: FieldValue<F[Name]>
  }
>

/** What an update takes: the fields to change. */
export type UpdateOf<F extends Fields> = { readonly [Name in keyof F]?: FieldValue<F[Name]> }

type NamesOfValue<F extends Fields, Value> = {
  [Name in keyof F]: FieldValue<F[Name]> extends Value ? Name : never
}[keyof F]

/** What an increment takes: amounts by counter. Only counters are accepted at run time. */
export type IncrementOf<F extends Fields> = { readonly [Name in NamesOfValue<F, number>]?: number }

/** What add and remove take: members by set. */
export type MembersOf<F extends Fields> = {
  readonly [Name in NamesOfValue<F, readonly (string | number)[]>]?: FieldValue<F[Name]>
}

/** Fields by collection of a schema. */
export type CollectionsOf<S> = S extends Schema<infer Collections> ? Collections : never

/** Tables as Kysely wants them. */
export type TablesOf<S> = { [Name in keyof CollectionsOf<S>]: RowOf<CollectionsOf<S>[Name]> }
