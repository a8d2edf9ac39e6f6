import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Json } from '../json.ts'

/** What a field holds; decides its column, its text on the wire and the rules it may have. */
export type FieldKind =
  | 'text'
  | 'integer'
  | 'real'
  | 'decimal'
  | 'boolean'
  | 'timestamp'
  | 'json'
  | 'counter'
  | 'set'
  | 'reference'
  | 'attachment'

/** What a custom rule is given, and must decide from alone: it runs on both sides and has to agree with itself. */
export interface CustomMergeInput {
  readonly base: Json
  readonly mine: Json
  readonly theirs: Json
}

/** A rule for two values of one field that were written without knowledge of each other. */
export type MergeRule =
  | { readonly rule: 'ask' | 'latest' | 'server' | 'add' | 'union' | 'paragraphs' | 'max' | 'min' }
  | { readonly rule: 'transitions'; readonly allowed: Readonly<Record<string, readonly string[]>> }
  | {
      readonly rule: 'custom'
      /** Pure. Returns the merged value, or undefined for "a person must decide". */
      readonly merge: (input: CustomMergeInput) => Json | undefined
      readonly explanation: string
    }

/** The name a rule is written down with, in decisions and in the audit. */
export type MergeRuleName = MergeRule['rule']

/** A field as declared. `Value` is what the app reads, `Required` whether an insert must give it. */
export interface Field<Value = unknown, Required extends boolean = boolean> {
  readonly kind: FieldKind
  readonly optional: boolean
  readonly default: Json | undefined
  readonly merge: MergeRule
  /** UTF-16 units of text, or of each member of a set of texts. */
  readonly maxLength: number | undefined
  /** Kind of the members; only for kind set. */
  readonly of: 'text' | 'integer' | undefined
  /** Collection referred to; only for kind reference. */
  readonly references: string | undefined
  /** `server`: only the host's own code may set it. */
  readonly owner: 'anyone' | 'server'
  readonly validate: StandardSchemaV1 | undefined
  /** Types only; never set. */
  readonly '~value'?: Value
  /** Types only; never set. */
  readonly '~required'?: Required
}

/** Options every field takes. */
export interface FieldOptions<Value> {
  /** May be null; an insert may leave it out. Not optional unless said. */
  readonly optional?: boolean
  /** Used when an insert leaves the field out. */
  readonly default?: Value
  readonly owner?: 'anyone' | 'server'
  /** Any Standard Schema validator, on top of the kind's own check; synchronous, and it judges: its output is not used. */
  readonly validate?: StandardSchemaV1
}

/** Options with a rule that can be given by name. */
export interface MergeableOptions<Value, Rule> extends FieldOptions<Value> {
  readonly merge?: Rule
}

type ValueOf<Value, Options> = Options extends { readonly optional: true } ? Value | null : Value
type RequiredOf<Options> = Options extends { readonly optional: true }
  ? false
  : Options extends { readonly default: Json }
    ? false
    : true

type ScalarRule = 'ask' | 'latest' | 'server' | Extract<MergeRule, { rule: 'custom' }>
type OrderedRule = ScalarRule | 'max' | 'min'
type TextRule = ScalarRule | 'paragraphs' | Extract<MergeRule, { rule: 'transitions' }>

/** Options of `text`. */
export interface TextOptions extends MergeableOptions<string, TextRule> {
  /** UTF-16 units; `limits.textLength` unless said. */
  readonly maxLength?: number
}

/** Text, kept exactly as typed. Rules: ask (default), latest, server, paragraphs, transitions, custom. */
export function text<const Options extends TextOptions = {}>(
  options?: Options,
): Field<ValueOf<string, Options>, RequiredOf<Options>> {
  return field('text', options, { maxLength: options?.maxLength })
}

/** A whole number JavaScript can hold exactly; larger ones belong in `decimal`. Rules: ask (default), latest, server, max, min, custom. */
export function integer<const Options extends MergeableOptions<number, OrderedRule> = {}>(
  options?: Options,
): Field<ValueOf<number, Options>, RequiredOf<Options>> {
  return field('integer', options)
}

/** A finite double. Rules: ask (default), latest, server, max, min, custom. */
export function real<const Options extends MergeableOptions<number, OrderedRule> = {}>(
  options?: Options,
): Field<ValueOf<number, Options>, RequiredOf<Options>> {
  return field('real', options)
}

/** An exact decimal number as text, such as '899.00', at most 34 digits. Rules: ask (default), latest, server, max, min, custom. */
export function decimal<const Options extends MergeableOptions<string, OrderedRule> = {}>(
  options?: Options,
): Field<ValueOf<string, Options>, RequiredOf<Options>> {
  return field('decimal', options)
}

/** True or false. Rules: ask (default), latest, server, custom. */
export function boolean<const Options extends MergeableOptions<boolean, ScalarRule> = {}>(
  options?: Options,
): Field<ValueOf<boolean, Options>, RequiredOf<Options>> {
  return field('boolean', options)
}

/** A moment as `2026-11-20T10:00:00.000Z`. Rules: ask (default), latest, server, max, min, custom. */
export function timestamp<const Options extends MergeableOptions<string, OrderedRule> = {}>(
  options?: Options,
): Field<ValueOf<string, Options>, RequiredOf<Options>> {
  return field('timestamp', options)
}

/** Any JSON value, merged as one. Rules: ask (default), latest, server, custom. */
export function json<const Options extends MergeableOptions<Json, ScalarRule> = {}>(
  options?: Options,
): Field<ValueOf<Json, Options>, RequiredOf<Options>> {
  return field('json', options)
}

/** A whole number that is added to: every change of every device counts. Starts at 0 unless inserted otherwise. */
export function counter(options: { readonly owner?: 'anyone' | 'server' } = {}): Field<number, false> {
  return { ...field<number, false>('counter', { owner: options.owner, default: 0 }), merge: { rule: 'add' } }
}

/** A set of `text()` or `integer()`: additions and removals of every device count. Starts empty unless inserted otherwise. */
export function set<Member extends string | number>(member: Field<Member>): Field<readonly Member[], false> {
  // defineSchema refuses members of any other kind.
  const of = member.kind as 'text' | 'integer'
  const { maxLength } = member
  return {
    ...field<readonly Member[], false>('set', { default: [] }, { of, maxLength }),
    merge: { rule: 'union' },
  }
}

/** The id of a record of another collection. Rules: ask (default), latest, server, custom. */
export function reference<const Options extends MergeableOptions<string, ScalarRule> = {}>(
  collection: string,
  options?: Options,
): Field<ValueOf<string, Options>, RequiredOf<Options>> {
  return field('reference', options, { references: collection })
}

/** What a record says of a file that travels on its own: content hash and size. */
export interface AttachmentValue {
  /** SHA-256 of the bytes, 64 hex digits. */
  readonly hash: string
  /** Bytes. */
  readonly size: number
  readonly name?: string
  readonly mediaType?: string
}

/** A file: the record carries its hash, size, name and media type; the bytes travel on their own. Always optional. */
export function attachment(
  options: MergeableOptions<never, ScalarRule> = {},
): Field<AttachmentValue | null, false> {
  return field('attachment', { ...options, optional: true })
}

/** Which state may follow which: `transitions({ draft: ['sent'], sent: ['paid', 'void'] })`. */
export function transitions(
  allowed: Readonly<Record<string, readonly string[]>>,
): Extract<MergeRule, { rule: 'transitions' }> {
  return { rule: 'transitions', allowed }
}

/** A rule of your own. It must be pure and explain itself in one sentence. */
export function custom(
  merge: (input: CustomMergeInput) => Json | undefined,
  explanation: string,
): Extract<MergeRule, { rule: 'custom' }> {
  return { rule: 'custom', merge, explanation }
}

interface GivenOptions {
  readonly optional?: boolean
  readonly default?: Json
  readonly owner?: 'anyone' | 'server' | undefined
  readonly validate?: StandardSchemaV1
  readonly merge?: unknown
}

function field<Value, Required extends boolean>(
  kind: FieldKind,
  options: GivenOptions | undefined,
  extra: Partial<Pick<Field, 'maxLength' | 'of' | 'references'>> = {},
): Field<Value, Required> {
  const merge = options?.merge ?? 'ask'
  return {
    kind,
    optional: options?.optional ?? false,
    default: options?.default,
    // The public functions only admit names and rule objects; defineSchema refuses whatever JavaScript callers slip in.
    merge: (typeof merge === 'string' ? { rule: merge } : merge) as MergeRule,
    maxLength: extra.maxLength,
    of: extra.of,
    references: extra.references,
    owner: options?.owner ?? 'anyone',
    validate: options?.validate,
  }
}
