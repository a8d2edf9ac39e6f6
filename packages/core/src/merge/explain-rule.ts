import { assertNever } from '../errors.ts'
import type { MergeRule } from '../schema/field.ts'
import type { CollectionSchema, FieldSchema } from '../schema/schema.ts'

/** The rule a field merges by: that of its group, if it has one. */
export function ruleOf(field: Pick<FieldSchema, 'merge' | 'group'>): MergeRule {
  return field.group?.merge ?? field.merge
}

/** One sentence that says how two edits of a field are brought together; what every tool shows. Rules: ME-20. */
export function explainRule(field: Pick<FieldSchema, 'merge' | 'group'>): string {
  const sentence = sentenceOf(ruleOf(field))
  return field.group ? `Merged as one with ${field.group.fields.join(', ')}: ${sentence}` : sentence
}

/** One sentence that says what happens when one side deletes a record that the other edits. Rules: ME-20. */
export function explainDelete(collection: Pick<CollectionSchema, 'onDelete'>): string {
  switch (collection.onDelete) {
    case 'ask':
      return 'If one side deletes the record and the other edits it, a person decides.'
    case 'delete':
      return 'If one side deletes the record and the other edits it, it is deleted; the edit is kept in the history.'
    case 'edit':
      return 'If one side deletes the record and the other edits it, it stays with the edit.'
    default:
      return assertNever(collection.onDelete)
  }
}

function sentenceOf(merge: MergeRule): string {
  switch (merge.rule) {
    case 'ask':
      return 'If both sides changed it, a person decides.'
    case 'latest':
      return 'The newest edit stays, by the time it was made; the other is kept in the history.'
    case 'server':
      return 'What the server has stays; the other value is kept in the history.'
    case 'add':
      return 'Every amount that anyone adds or takes away counts.'
    case 'union':
      return 'What anyone adds is in, and what anyone removes is out.'
    case 'paragraphs':
      return 'Edits to different paragraphs both stay; if both sides changed the same one, a person decides.'
    case 'max':
      return 'The larger value stays; the other is kept in the history.'
    case 'min':
      return 'The smaller value stays; the other is kept in the history.'
    case 'transitions':
      return 'A state that may follow the current one is taken, one that lies behind it is kept in the history, and between any others a person decides.'
    case 'custom':
      return merge.explanation
    default:
      return assertNever(merge)
  }
}
