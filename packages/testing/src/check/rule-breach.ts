import type { Json } from './observation.ts'
import { show } from './same-value.ts'

/** Of a decision of the audit log, what is needed here. */
export interface Decision {
  readonly rule: string
  readonly winner: string
  readonly base?: Json
  readonly mine: Json
  readonly theirs: Json
  readonly result: Json
}

/**
 * What is wrong with a decision by the rule it names, told from its values alone; undefined when nothing is. Rules that
 * go by more than the values, such as stamps or an app's own function, are told by others or not at all.
 */
export function breachOf({ rule, winner, base, mine, theirs, result }: Decision): string | undefined {
  switch (rule) {
    case 'max':
    case 'min': {
      const order = orderOf(mine, theirs) * (rule === 'max' ? 1 : -1)
      const isWrong = (order > 0 && winner !== 'mine') || (order < 0 && winner !== 'theirs')
      if (mine === null || theirs === null)
        return mine === null && winner === 'mine' ? 'keeps nothing' : undefined
      return isWrong ? `keeps ${show(result)} of ${show(mine)} and ${show(theirs)}` : undefined
    }
    case 'server':
      return winner === 'theirs' ? undefined : `keeps ${show(result)} although the server's own stands`
    case 'paragraphs': {
      const lost = [mine, theirs]
        .flatMap((text) => addedTo(base, text))
        .find((text) => !textOf(result).includes(text))
      return lost === undefined || winner !== 'both' ? undefined : `lost the paragraph ${show(lost)}`
    }
    default:
      return undefined
  }
}

const numeric = /^-?\d+(\.\d+)?$/

/** Below zero where `left` comes first; decimals travel as text. Zero also where the two are too close to tell. */
function orderOf(left: Json, right: Json): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right
  if (typeof left !== 'string' || typeof right !== 'string') return 0
  if (numeric.test(left) && numeric.test(right)) return Number(left) - Number(right)
  return left < right ? -1 : left > right ? 1 : 0
}

function addedTo(base: Json | undefined, text: Json): readonly string[] {
  const known = new Set(paragraphsOf(base ?? null))
  return paragraphsOf(text).filter((paragraph) => !known.has(paragraph))
}

function paragraphsOf(text: Json): readonly string[] {
  return textOf(text)
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim())
}

function textOf(value: Json): string {
  return typeof value === 'string' ? value : ''
}
