import type { Values } from '@holdfast/core'

import type { Narrator } from './narrator.ts'
import { textOf } from './text-of.ts'
import { toneOf } from './history-lines.ts'

/** The part of a conflict that the tour tells. */
export interface ToldConflict {
  readonly author: string
  readonly fields: readonly string[]
  readonly parts: readonly {
    readonly base: Values | null
    readonly mine: Values | null
    readonly theirs: Values | null
    readonly rules: Readonly<Record<string, string>>
  }[]
}

/** A conflict with both its sides, and why a person has to decide. */
export function conflictLines(tell: Narrator, conflict: ToldConflict): readonly string[] {
  const author = conflict.author.charAt(0).toUpperCase() + conflict.author.slice(1)
  return conflict.parts.flatMap(({ base, mine, theirs, rules }) => {
    const fields = conflict.fields.length > 0 ? conflict.fields : Object.keys(mine ?? theirs ?? {})
    const side = (values: Values | null, field: string): string =>
      values === null ? 'deleted' : textOf(values[field])
    return fields.flatMap((field) => [
      `${field} was ${side(base, field)}; ` +
        `${tell.tint(toneOf(conflict.author), author)} says ${tell.strong(side(mine, field))}, ` +
        `the server has ${tell.strong(side(theirs, field))}`,
      ...(rules[field] === undefined ? [] : [tell.dim(rules[field])]),
    ])
  })
}
