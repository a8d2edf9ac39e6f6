import type { Conflict, ConflictPart } from '@holdfast/client'
import { type Json, jsonEqual, type Values } from '@holdfast/core'

import type { Labels } from '../labels.ts'

/** What the two sides of a conflict are called. */
export interface SideNames {
  readonly mine: string
  readonly theirs: string
  readonly keepMine: string
  readonly keepTheirs: string
}

/** A field as both sides have it. */
export interface ComparedField {
  readonly name: string
  readonly before: Json | undefined
  readonly mine: Json | undefined
  readonly theirs: Json | undefined
  /** A person decides about it. */
  readonly isDisputed: boolean
  readonly isDifferent: boolean
}

/** "Mine" is of whoever made the change in question; for everybody else it is that person's. Rules: RE-9. */
export function sideNames(
  conflict: Conflict,
  account: string | null,
  { conflict: words, person }: Labels,
): SideNames {
  if (conflict.author === account) {
    const { mine, theirs, keepMine, keepTheirs } = words
    return { mine, theirs, keepMine, keepTheirs }
  }
  const author = person(conflict.author)
  return {
    mine: words.of(author),
    theirs: words.server,
    keepMine: words.keepOf(author),
    keepTheirs: words.keepServer,
  }
}

/** The fields of a part, those in dispute first. */
export function comparedFields(part: ConflictPart): readonly ComparedField[] {
  const { base, mine, theirs, last, fields } = part
  const names = new Set([...fields, ...Object.keys(mine ?? {}), ...Object.keys(theirs ?? {})])
  return [...names].map((name) => {
    const isDisputed = part.isInDispute && fields.includes(name)
    const [own, other] = [memberOf(mine, name), memberOf(theirs, name)]
    // In a dispute about whether the record stays, one side has no values at all.
    const isDifferent =
      isDisputed ||
      (mine !== null && theirs !== null && own !== undefined && other !== undefined && !jsonEqual(own, other))
    return { name, before: memberOf(base ?? last, name), mine: own, theirs: other, isDisputed, isDifferent }
  })
}

function memberOf(values: Values | null, name: string): Json | undefined {
  return values !== null && Object.hasOwn(values, name) ? values[name] : undefined
}

/** Whether both can stay: each side has a record. */
export function canKeepBoth(conflict: Conflict): boolean {
  return conflict.parts.some(
    ({ isInDispute, mine, theirs }) => isInDispute && mine !== null && theirs !== null,
  )
}

/** The parts a person can edit. */
export function editableParts(conflict: Conflict): readonly ConflictPart[] {
  return conflict.parts.filter((part) => part.isInDispute && (part.mine !== null || part.theirs !== null))
}
