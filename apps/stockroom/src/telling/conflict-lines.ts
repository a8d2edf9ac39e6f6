import type { Conflict, ConflictPart } from '@holdfast/client'

import { nameOfUser, toneOf } from './history-lines.ts'
import { shorten } from './layout.ts'
import type { Narrator } from './narrator.ts'
import { textOf } from './text-of.ts'

/** A conflict with both its sides, and why a person has to decide. */
export function conflictLines(
  tell: Narrator,
  conflict: Pick<Conflict, 'author' | 'parts'>,
): readonly string[] {
  const author = tell.tint(toneOf(conflict.author), nameOfUser(conflict.author))
  return conflict.parts.flatMap((part) => {
    const reasons = part.explanation === null ? Object.values(part.explanations) : [part.explanation]
    return [...sidesOf(tell, part, author), ...new Set(reasons.map((reason) => tell.dim(reason)))]
  })
}

function sidesOf(
  tell: Narrator,
  { fields, base, mine, theirs }: ConflictPart,
  author: string,
): readonly string[] {
  if (mine === null) return [`${author} deletes it; others edited it meanwhile`]
  if (theirs === null)
    return [`${author} edits ${fields.join(', ') || 'it'}; on the server it was deleted meanwhile`]
  return fields.map((field) => {
    const [was, says, has] = [base?.[field], mine[field], theirs[field]].map((value) =>
      shorten(textOf(value), 24),
    )
    return `${field} was ${was}; ${author} says ${tell.strong(says ?? '')}, the server has ${tell.strong(has ?? '')}`
  })
}
