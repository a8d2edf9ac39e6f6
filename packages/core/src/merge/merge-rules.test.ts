import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Hlc } from '../hlc.ts'
import type { Json } from '../json.ts'
import { emptyPayload } from '../mutation.ts'
import { defineSchema } from '../schema/define-schema.ts'
import { counter, decimal, type Field, integer, set, text, transitions } from '../schema/field.ts'
import type { DeleteRule } from '../schema/schema.ts'
import { explainDelete, explainRule } from './explain-rule.ts'
import { mergeRecord } from './merge-record.ts'

const page = readFileSync(new URL('../../../../docs/merge-rules.md', import.meta.url), 'utf8')
const flow = transitions({ draft: ['sent'], sent: ['paid', 'void'] })
const fieldByDeclaration: Readonly<Record<string, Field>> = {
  'text()': text(),
  "text({ merge: 'latest' })": text({ merge: 'latest' }),
  "text({ merge: 'server' })": text({ merge: 'server' }),
  "text({ merge: 'paragraphs' })": text({ merge: 'paragraphs' }),
  "text({ merge: transitions({ draft: ['sent'], sent: ['paid', 'void'] }) })": text({ merge: flow }),
  "integer({ merge: 'max' })": integer({ merge: 'max' }),
  "decimal({ merge: 'min' })": decimal({ merge: 'min' }),
  'counter()': counter(),
  'set(text())': set(text()),
}

/** The cells of every table line with so many columns, without the heading. */
function linesOf(columns: number): readonly (readonly string[])[] {
  return page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.slice(2, -2).split(' | '))
    .filter((cells) => cells.length === columns)
}

describe('docs/merge-rules.md', () => {
  test('[ME-20] names every rule a field can be given', () => {
    const declared = new Set(linesOf(6).map(([cell]) => cell?.replaceAll('`', '')))
    expect(declared).toEqual(new Set(Object.keys(fieldByDeclaration)))
    expect(linesOf(2)).toHaveLength(3)
  })

  test.each(linesOf(6))('[ME-20] %s: %s', (declared, sentence, ...cells) => {
    const field = fieldByDeclaration[declared.replaceAll('`', '')]!
    const schema = defineSchema({ version: 1, collections: { items: { fields: { f: field } } } })
    const items = schema.collections.get('items')!
    expect(explainRule(items.fields[0]!)).toBe(sentence)
    const [base, mine, theirs, result] = cells.map((cell) =>
      cell === 'a person' ? cell : (JSON.parse(cell.replaceAll('`', '')) as Json),
    )
    const outcome = mergeRecord({
      collection: items,
      mutation: {
        ...emptyPayload,
        op: 'update',
        baseVersion: 1,
        changes: { f: mine! },
        base: { f: base! },
        at: '2026-11-20T10:02:00.000Z-0000-a' as Hlc,
        ats: {},
        resolves: null,
      },
      current: { kind: 'live', version: 2, values: { f: theirs! } },
      concurrent: 'unknown',
      clocks: { f: '2026-11-20T10:01:00.000Z-0000-b' as Hlc },
      fallbackStamp: '2026-11-20T10:01:00.000Z-0000-b' as Hlc,
    })
    const value =
      outcome.kind === 'apply' && outcome.next.kind === 'live' ? outcome.next.values.f : 'a person'
    expect(value).toEqual(result)
  })

  test.each(linesOf(2))('[ME-20] %s: %s', (declared, sentence) => {
    const onDelete = /'(.*)'/.exec(declared)?.[1] as DeleteRule
    expect(explainDelete({ onDelete })).toBe(sentence)
  })
})
