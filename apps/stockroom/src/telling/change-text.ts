import { isJsonArray, type Json } from '@holdfast/core'

import { shorten } from './layout.ts'
import { textOf } from './text-of.ts'

/**
 * What became of a value, in at most `columns`: what came and went of a set, the paragraphs that are new of a text of
 * several, and `before → after` of everything else. Without a `before` only what it is now.
 */
export function changeText(before: Json | undefined, after: Json | undefined, columns: number): string {
  if (isJsonArray(before) && isJsonArray(after)) return shorten(membersText(before, after), columns)
  if (typeof before === 'string' && typeof after === 'string' && before.includes('\n\n')) {
    const known = new Set(before.split('\n\n'))
    const paragraphs = after.split('\n\n').filter((paragraph) => !known.has(paragraph))
    return shorten(`¶ ${paragraphs.join(' ¶ ')}`, columns)
  }
  if (before === undefined) return shorten(textOf(after), columns)
  const old = shorten(textOf(before), Math.max(8, Math.floor(columns / 2) - 3))
  return `${old} → ${shorten(textOf(after), Math.max(8, columns - old.length - 3))}`
}

function membersText(before: readonly Json[], after: readonly Json[]): string {
  const added = after.filter((member) => !before.includes(member)).map((member) => `+ ${textOf(member)}`)
  const removed = before.filter((member) => !after.includes(member)).map((member) => `− ${textOf(member)}`)
  return [...added, ...removed].join(', ')
}
