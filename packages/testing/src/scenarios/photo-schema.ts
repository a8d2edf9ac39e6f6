import {
  attachment,
  type AttachmentValue,
  collection,
  defineSchema,
  type Field,
  json,
  type Json,
  type Schema,
  text,
} from '@holdfast/core'

/** Places, each with a photo and a plan. */
export type PhotoSchema = Schema<{
  readonly places: {
    readonly name: Field<string, false>
    readonly photo: Field<AttachmentValue | null, false>
    readonly plan: Field<AttachmentValue | null, false>
    readonly extra: Field<Json, false>
    readonly wh: Field<string, false>
  }
}>

/** Their schema. */
export const photoSchema: PhotoSchema = defineSchema({
  version: 1,
  collections: {
    places: collection({
      fields: {
        name: text({ default: '' }),
        photo: attachment(),
        plan: attachment({ merge: 'latest' }),
        extra: json({ optional: true }),
        wh: text({ default: 'w1' }),
      },
      scope: 'w:{wh}',
    }),
  },
})
