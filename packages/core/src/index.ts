export {
  digestSql,
  foldRanges,
  rangeCountFor,
  rangeOfRecord,
  rangesMost,
  type RangeSum,
} from './digest.ts'
export type { CancelTimer, Environment } from './environment.ts'
export {
  assert,
  assertNever,
  type ErrorCode,
  errorTable,
  isErrorCode,
  type Retry,
  statusOfCode,
  SyncError,
  type SyncErrorOptions,
} from './errors.ts'
export {
  type ClockReading,
  clampHlc,
  formatHlc,
  type Hlc,
  type HlcState,
  hlcOfTime,
  parseHlc,
  tickHlc,
} from './hlc.ts'
export { isUuid, newUuid } from './ids.ts'
export { canonicalJson, isJsonArray, isObject, type Json, jsonDepth, jsonEqual, type Values } from './json.ts'
export { type Limits, limits } from './limits.ts'
export { applyPayload } from './merge/apply-payload.ts'
export { explainDelete, explainRule, ruleOf } from './merge/explain-rule.ts'
export { forceMine } from './merge/force-mine.ts'
export type {
  ApplyOutcome,
  ConflictKind,
  ConflictOutcome,
  MergeInput,
  MergeMutation,
  MergeOutcome,
  RejectOutcome,
} from './merge/merge-outcome.ts'
export { mergeRecord } from './merge/merge-record.ts'
export {
  isPartInDispute,
  recordsNamed,
  type SettledBy,
  type SettledPart,
  type SettledRecord,
  settledValues,
} from './merge/settled-values.ts'
export {
  absentRecord,
  type Decision,
  emptyPayload,
  type LostAnswer,
  type Mutation,
  type MutationOp,
  type Payload,
  type RecordSnapshot,
  type ReturnedFate,
  touchedFields,
  type Verdict,
} from './mutation.ts'
export { coveredIds, keyEndLength, type Numbered } from './outbox/covered-ids.ts'
export { foldMutations, type FoldResult } from './outbox/fold-mutations.ts'
export { type Fold, foldOutbox } from './outbox/fold-outbox.ts'
export { type Foretold, type Replayed, replayMutations } from './outbox/replay-mutations.ts'
export {
  changeSchema,
  errorReportSchema,
  errorResponseSchema,
  mutationSchema,
  type MutationShape,
  outcomeSchema,
  pullRequestSchema,
  pullResponseSchema,
  pushRequestSchema,
  pushResponseSchema,
  pushResultSchema,
  snapshotRequestSchema,
} from './protocol/message-schemas.ts'
export type {
  Change,
  ConflictReport,
  ErrorReport,
  ErrorResponse,
  EscrowEnding,
  Outcome,
  PendingReport,
  PullRequest,
  PullResponse,
  PushRequest,
  PushResponse,
  PushResult,
  RangeDigest,
  RowRange,
  ScopeDigest,
  SnapshotRequest,
} from './protocol/messages.ts'
export {
  parseErrorResponse,
  parsePullRequest,
  parsePullResponse,
  parsePushRequest,
  parsePushResponse,
  parseSnapshotRequest,
} from './protocol/parse-messages.ts'
export { parseMutation } from './protocol/parse-mutation.ts'
export {
  countRanges,
  formatRanges,
  overlapCount,
  parseRanges,
  type Ranges,
  rangesOf,
  unionRanges,
} from './ranges.ts'
export { conflictsCollection } from './schema/conflicts.ts'
export { collection, defineSchema, type SchemaDeclaration } from './schema/define-schema.ts'
export { collectionNamed, describeSchema } from './schema/describe-schema.ts'
export {
  attachment,
  type AttachmentValue,
  boolean,
  counter,
  custom,
  type CustomMergeInput,
  decimal,
  type Field,
  type FieldKind,
  type FieldOptions,
  integer,
  json,
  type MergeableOptions,
  type MergeRule,
  type MergeRuleName,
  real,
  reference,
  set,
  text,
  type TextOptions,
  timestamp,
  transitions,
} from './schema/field.ts'
export type {
  CollectionsOf,
  IncrementOf,
  InsertOf,
  MembersOf,
  RecordMeta,
  RecordState,
  RowOf,
  TablesOf,
  UpdateOf,
} from './schema/infer.ts'
export type {
  CollectionDeclaration,
  CollectionSchema,
  DeleteRule,
  FieldGroup,
  FieldsByCollection,
  FieldSchema,
  GroupDeclaration,
  Schema,
  SchemaOf,
  UniqueDeclaration,
  UniqueKey,
  UniquePolicy,
} from './schema/schema.ts'
export {
  everyScope,
  globalScope,
  parseScopeTemplate,
  personalScope,
  type ScopeTemplate,
  scopesOfRow,
} from './schema/scope-template.ts'
export { canonicalDecimal, compareDecimals } from './values/decimal.ts'
export { parseFieldValue, parseMembers, parseSeenValue, sortMembers } from './values/parse-field-value.ts'
export {
  absentValue,
  completeValues,
  type ParsedInsert,
  parseInsert,
  parseUpdate,
} from './values/parse-input.ts'
export { parseRowData } from './values/parse-row-data.ts'
export { payloadOfUpdate } from './values/payload-of-update.ts'
export { isStorableText, utf8Length } from './values/storable-text.ts'
export { canonicalTimestamp } from './values/timestamp.ts'
export { normaliseKeyText, numberedField, uniqueKeyText } from './values/unique-key.ts'
export { membersOf, valuesEqual } from './values/values-equal.ts'
