import type { LatencyFigures, SimulationReport } from '@holdfast/testing/simulator'

import { type Cell, formatTable, plainText } from './format-table.ts'
import type { Output } from './output.ts'

/** Characters of a line of text. */
const lineLength = 90
/** Lines of the stack of a defect; the rest is in the JSON. */
const stackMax = 5
/** Rows of a table; the rest is in the JSON. */
const rowMax = 15

type Rows = readonly Readonly<Record<string, Cell>>[]

/** Says what came of a simulation, for people. `replay` gives the command that shows a seed again. Rules: OP-30. */
export function printSimulation(
  report: SimulationReport,
  output: Output,
  replay: (seed: number) => string,
): void {
  const { line, colors } = output
  for (const each of headOf(report)) paragraph(output, each)
  line('')
  printPromises(report, output, replay)
  if (report.unwritten.length > 0) {
    const names = report.unwritten.map((name) => `\`${name}\``).join(', ')
    paragraph(output, `Nobody could make a record of ${names}: nothing here is about them.`)
  }
  printTable(output, 'Edits that met an edit of somebody else', fieldRows(report))
  const quiet = report.fields.filter(({ met }) => met === 0)
  if (quiet.length === report.fields.length) paragraph(output, '\nNo edit met an edit of somebody else.')
  else if (quiet.length > 0) {
    const names = quiet.map(({ collection, field }) => `${collection}.${field}`)
    paragraph(output, `Never: ${names.join(', ')}.`, '  ')
  }
  printTable(output, 'Deletes that met an edit', deleteRows(report))
  printTable(output, 'Records that wanted the key of another one', uniqueRows(report))
  printTable(output, 'Values that lost to another, kept in the history', lostRows(report))
  printTable(output, 'Dead letters', deadRows(report))
  printTable(output, 'From a write until …', latencyRows(report))
  printTraffic(report, output)
  if (report.suggestions.length === 0) return
  line('')
  line(colors.bold('What the figures suggest'))
  for (const sentence of report.suggestions) paragraph(output, sentence, '  ')
}

function headOf({
  seeds,
  devices,
  days,
  operations,
  virtualMs,
  faults,
  assumptions,
}: SimulationReport): readonly string[] {
  const last = seeds.first + seeds.count - 1
  const named = seeds.count === 1 ? `seed ${seeds.first}` : `seeds ${seeds.first} to ${last}`
  const struck = Object.entries(faults).map(([name, count]) => `${name}\u00a0${count}`)
  return [
    `${named}: ${devices} devices, ${plural(days, 'day')} of work each; ${count(operations)} operations in ${(virtualMs / 86_400_000).toFixed(1)} virtual days`,
    struck.length === 0 ? 'no faults' : `faults: ${struck.join(', ')}`,
    ...assumptions.map((sentence) => `assumed: ${sentence}`),
  ]
}

function printPromises(
  { failures, seeds, traffic }: SimulationReport,
  output: Output,
  replay: (seed: number) => string,
): void {
  const { line, colors } = output
  if (traffic.edits === 0) return line(`${colors.red('✗')} nobody could write anything: nothing was checked`)
  if (failures.length === 0) return line(`${colors.green('✓')} every promise was kept`)
  line(`${colors.red('✗')} ${failures.length} of ${plural(seeds.count, 'run')} broke a promise`)
  for (const { seed, violation, count: breaches } of failures.slice(0, 5)) {
    const { invariant, atMs, message } = violation
    const more = breaches > 1 ? `, and ${breaches - 1} more` : ''
    const [said, ...stack] = message.split('\n')
    paragraph(
      output,
      `seed ${seed}: ${invariant} at ${(atMs / 1_000).toFixed(3)} virtual s: ${said}${more}`,
      '  ',
    )
    // Where a validator or a rule failed is told by the first of these.
    for (const place of stack.slice(0, stackMax)) line(`    ${colors.dim(plainText(place.trim()))}`)
    line(`  ${colors.dim(replay(seed))}`)
  }
}

function fieldRows({ fields }: SimulationReport): Rows {
  return fields
    .filter(({ met }) => met > 0)
    .map(({ collection, field, rule, edits, met, merged, asked }) => ({
      field: `${collection}.${field}`,
      rule,
      edits,
      met,
      share: percent(met, edits),
      'decided by rule': merged,
      'asked a person': asked,
    }))
}

function deleteRows({ deletes }: SimulationReport): Rows {
  return deletes
    .filter(({ merged, asked }) => merged + asked > 0)
    .map(({ collection, rule, merged, asked }) => ({
      collection,
      onDelete: rule,
      'decided by rule': merged,
      'asked a person': asked,
    }))
}

function uniqueRows({ unique }: SimulationReport): Rows {
  return unique.map(({ collection, fields, policy, count: times }) => ({
    collection,
    key: fields.length === 0 ? null : fields.join(', '),
    onConflict: policy,
    times,
  }))
}

function lostRows({ lost }: SimulationReport): Rows {
  return lost.map(({ collection, field, rule, count: times }) => ({
    field: `${collection}.${field}`,
    'decided by': rule === 'person' ? 'a person' : rule,
    times,
  }))
}

function deadRows({ deadLetters }: SimulationReport): Rows {
  return deadLetters.map(({ code, meaning, count: times }) => ({ code, times, meaning }))
}

function latencyRows({ latency }: SimulationReport): Rows {
  const row = (until: string, { count: times, p50, p95, p99 }: LatencyFigures): Rows =>
    times === 0 ? [] : [{ until, times, p50: span(p50), p95: span(p95), p99: span(p99) }]
  return [
    ...row('its verdict is known, while online', latency.verdict.online),
    ...row('its verdict is known, over all', latency.verdict.overall),
    ...row('another device has it, both online', latency.visible.online),
    ...row('another device has it, over all', latency.visible.overall),
  ]
}

function printTraffic({ traffic }: SimulationReport, output: Output): void {
  const { edits, requests, bytesUp, bytesDown } = traffic
  if (edits === 0) return
  const { line, colors } = output
  line('')
  line(colors.bold('For one edit'))
  const each = (sum: number): string => count(sum / edits)
  line(
    `  ${each(bytesUp)} bytes up, ${each(bytesDown)} bytes down, ${(requests / edits).toFixed(2)} answered requests`,
  )
  line(colors.dim('  bodies without compression, to and from all devices; the first sync is left out'))
}

function printTable({ line, colors }: Output, title: string, rows: Rows): void {
  if (rows.length === 0) return
  line('')
  line(colors.bold(title))
  for (const text of formatTable(rows.slice(0, rowMax))) line(`  ${text}`)
  if (rows.length > rowMax) line(colors.dim(`  … and ${rows.length - rowMax} more`))
}

/** Text in lines of a terminal's width; code and what a hard space joins stay together. */
function paragraph({ line }: Output, text: string, indent = ''): void {
  let row = ''
  for (const [part] of text.matchAll(/(?:`[^`]*`|[^ `])+/g)) {
    const word = part.replaceAll('\u00a0', ' ')
    if (row !== '' && indent.length + row.length + 1 + word.length > lineLength) {
      line(`${indent}${row}`)
      row = `  ${word}`
    } else row = row === '' ? word : `${row} ${word}`
  }
  line(`${indent}${row}`)
}

function plural(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function percent(part: number, whole: number): string {
  const share = (100 * part) / Math.max(1, whole)
  return `${share < 10 ? share.toFixed(1) : Math.round(share)} %`
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** Milliseconds as people say them. */
function span(ms: number): string {
  if (ms < 1_000) return `${ms} ms`
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  return `${(ms / 3_600_000).toFixed(1)} h`
}
