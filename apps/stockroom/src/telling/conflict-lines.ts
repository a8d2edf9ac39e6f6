import type { Conflict } from '@holdfast/client'
import type { Json, Values } from '@holdfast/core'

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
  return conflict.parts.flatMap(({ fields, base, mine, theirs, explanations, explanation }) => {
    const sides = fields.map((field) => {
      const [was, says, has] = [base, mine, theirs].map((values) => sideText(values, field))
      return `${field} was ${was}; ${author} says ${tell.strong(says ?? '')}, the server has ${tell.strong(has ?? '')}`
    })
    if (mine === null) sides.push(`${author} deletes it, others edited it`)
    if (theirs === null && fields.length === 0)
      sides.push(`${author} edits it, and it is deleted on the server`)
    const reasons = [...Object.values(explanations), ...(explanation === null ? [] : [explanation])]
    return [...sides, ...new Set(reasons.map((reason) => tell.dim(reason)))]
  })
}

function sideText(values: Values | null, field: string): string {
  const value: Json | undefined = values?.[field]
  return values === null ? 'deleted' : shorten(textOf(value), 40)
}
