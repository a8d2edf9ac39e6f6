import type { LatencyFigures, SimulationReport } from '@holdfast/testing/simulator'
import pico from 'picocolors'
import { expect, test } from 'vitest'

import { printSimulation } from './print-simulation.ts'

const waited: LatencyFigures = { count: 5, p50: 182, p95: 36_148, p99: 12_600_000, max: 13_000_000 }
const nobody: LatencyFigures = { count: 0, p50: 0, p95: 0, p99: 0, max: 0 }

const report: SimulationReport = {
  seeds: { first: 3, count: 2 },
  devices: 20,
  days: 1,
  virtualMs: 172_800_000,
  operations: 3_210,
  faults: { clog: 2, 'lose-answer': 9 },
  failures: [],
  unwritten: [],
  assumptions: ['`shop:{shop}`: each team has 2 of them, and everybody in it sees both.'],
  fields: [
    { collection: 'items', field: 'name', rule: 'ask', edits: 200, met: 24, merged: 0, asked: 24 },
    { collection: 'items', field: 'shelf', rule: 'latest', edits: 100, met: 2, merged: 2, asked: 0 },
    { collection: 'items', field: 'stock', rule: 'add', edits: 300, met: 0, merged: 0, asked: 0 },
  ],
  deletes: [{ collection: 'items', rule: 'ask', deletes: 9, merged: 0, asked: 3 }],
  unique: [{ collection: 'items', fields: ['shop', 'sku'], policy: 'reject', count: 4 }],
  lost: [{ collection: 'items', field: 'shelf', rule: 'person', count: 1 }],
  deadLetters: [
    {
      code: 'UNIQUE_VIOLATION',
      meaning: 'Another record has this unique key.',
      count: 4,
      collections: ['items'],
    },
  ],
  traffic: { edits: 1_000, requests: 1_500, bytesUp: 600_000, bytesDown: 2_400_000 },
  latency: { verdict: { online: waited, overall: waited }, visible: { online: nobody, overall: waited } },
  suggestions: ["`items.name` is `ask`, and 12 % of its edits meet another edit: declare `merge: 'latest'`."],
}

function printed(given: SimulationReport, isColored = false): readonly string[] {
  const lines: string[] = []
  const colors = pico.createColors(isColored)
  printSimulation(
    given,
    { line: (text) => lines.push(text), colors },
    (seed) => `holdfast simulate --seed ${seed}`,
  )
  return lines
}

test('[OP-30] a report is text of a terminal’s width', () => {
  expect(
    printed(report).join('\n'),
  ).toBe(`seeds 3 to 4: 20 devices, 1 day of work each; 3,210 operations in 2.0 virtual days
faults: clog 2, lose-answer 9
assumed: \`shop:{shop}\`: each team has 2 of them, and everybody in it sees both.

✓ every promise was kept

Edits that met an edit of somebody else
  field        rule    edits  met  share  decided by rule  asked a person
  items.name   ask       200   24  12 %                 0              24
  items.shelf  latest    100    2  2.0 %                2               0
  Never: items.stock.

Deletes that met an edit
  collection  onDelete  decided by rule  asked a person
  items       ask                     0               3

Records that wanted the key of another one
  collection  key        onConflict  times
  items       shop, sku  reject          4

Values that lost to another, kept in the history
  field        decided by  times
  items.shelf  a person        1

Dead letters
  code              times  meaning
  UNIQUE_VIOLATION      4  Another record has this unique key.

From a write until …
  until                               times  p50     p95     p99
  its verdict is known, while online      5  182 ms  36.1 s  3.5 h
  its verdict is known, over all          5  182 ms  36.1 s  3.5 h
  another device has it, over all         5  182 ms  36.1 s  3.5 h

For one edit
  600 bytes up, 2,400 bytes down, 1.50 answered requests
  bodies without compression, to and from all devices; the first sync is left out

What the figures suggest
  \`items.name\` is \`ask\`, and 12 % of its edits meet another edit: declare
    \`merge: 'latest'\`.`)
})

test('[OP-31] a broken promise is shown with the seed and the command that replays it', () => {
  const violation = { invariant: 'exactly-once', index: 8, atMs: 61_234, message: 'm1 took effect twice' }
  const lines = printed({ ...report, failures: [{ seed: 4, violation, count: 3 }] })
  expect(lines).toContain('✗ 1 of 2 runs broke a promise')
  expect(lines).toContain('  seed 4: exactly-once at 61.234 virtual s: m1 took effect twice, and 2 more')
  expect(lines).toContain('  holdfast simulate --seed 4')
})

test('[OP-31] of a validator that throws the report says what, and where', () => {
  const message = ['Error: boom', ...Array.from({ length: 9 }, (_, at) => `    at f${at} (schema.ts:3:1)`)]
  const violation = { invariant: 'no-defect', index: 8, atMs: 10_000, message: message.join('\n') }
  const lines = printed({ ...report, failures: [{ seed: 4, violation, count: 2 }] })
  const place = lines.indexOf('  seed 4: no-defect at 10.000 virtual s: Error: boom, and 1 more')
  expect(lines.slice(place + 1, place + 7)).toEqual([
    '    at f0 (schema.ts:3:1)',
    '    at f1 (schema.ts:3:1)',
    '    at f2 (schema.ts:3:1)',
    '    at f3 (schema.ts:3:1)',
    '    at f4 (schema.ts:3:1)',
    '  holdfast simulate --seed 4',
  ])
})

test('[OP-30] what did not happen is left out, and long tables are cut', () => {
  const [field] = report.fields
  const fields = Array.from({ length: 20 }, (_, index) => ({
    ...field,
    field: `f${index}`,
  })) as typeof report.fields
  const lines = printed({ ...report, fields, deletes: [], unique: [], deadLetters: [], suggestions: [] })
  expect(lines).toContain('  … and 5 more')
  expect(lines.some((line) => /Deletes|Records|Dead letters|suggest|Never/.test(line))).toBe(false)
  expect(printed({ ...report, fields: report.fields.slice(2) }).join('\n')).toContain(
    '\n\nNo edit met an edit of somebody else.\n\n',
  )
})

test('[OP-30] colours are for a terminal that wants them', () => {
  expect(printed(report).join('')).not.toContain('\u001b')
  expect(printed(report, true).join('')).toContain('\u001b[1m')
})
