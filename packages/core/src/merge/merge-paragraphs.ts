import { diffIndices } from 'node-diff3'
import { limits } from '../limits.ts'

/** A text and the two it became. */
export interface ThreeTexts {
  readonly base: string
  readonly mine: string
  readonly theirs: string
}

/** A paragraph with the blank lines before it; the first of a text has none. */
interface Paragraph {
  readonly gap: string
  readonly text: string
}

/** Paragraphs [start, end) of the base became `content`. */
interface Edit {
  readonly start: number
  readonly end: number
  readonly content: readonly Paragraph[]
}

/**
 * Both edits of a text, paragraph by paragraph; undefined when they overlap, or when there are so many paragraphs that
 * comparing them would hold up everybody else. New paragraphs in the same place both stay, theirs first. Blank lines
 * stay as they were typed. Source: Khanna, Kunal and Pierce, "A Formal Investigation of Diff3", 2007. Rules: ME-10.
 */
export function mergeParagraphs({ base, mine, theirs }: ThreeTexts): string | undefined {
  const [old, left, right] = [paragraphsOf(base), paragraphsOf(mine), paragraphsOf(theirs)]
  if (Math.max(old.length, left.length, right.length) > limits.paragraphs) return undefined
  const edits = interleave(editsOf(old, right), editsOf(old, left))
  if (!edits) return undefined
  const merged: Paragraph[] = []
  let next = 0
  for (const { start, end, content } of edits) {
    merged.push(...old.slice(next, start), ...content)
    next = end
  }
  return textOf([...merged, ...old.slice(next)])
}

const gapPattern = /(\r?\n(?:[ \t]*\r?\n)+)/

function paragraphsOf(text: string): readonly Paragraph[] {
  const parts = text.split(gapPattern)
  const paragraphs: Paragraph[] = []
  for (let index = 0; index < parts.length; index += 2) {
    paragraphs.push({ gap: parts[index - 1] ?? '', text: parts[index] ?? '' })
  }
  return text === '' ? [] : paragraphs
}

/** A paragraph that was first and is no longer gets the blank line that texts of its kind have. */
function textOf(paragraphs: readonly Paragraph[]): string {
  const gapOfFirst = usualGap(paragraphs)
  return paragraphs.map(({ gap, text }, index) => (index === 0 ? text : (gap || gapOfFirst) + text)).join('')
}

function usualGap(paragraphs: readonly Paragraph[]): string {
  return paragraphs.some(({ gap }) => gap.includes('\r')) ? '\r\n\r\n' : '\n\n'
}

/** What changed from one list to the other, in order. A gap that changed is an edit of the paragraph after it. */
function editsOf(old: readonly Paragraph[], now: readonly Paragraph[]): readonly Edit[] {
  return diffIndices(keysOf(old), keysOf(now)).map(({ buffer1, buffer2 }) => ({
    start: buffer1[0],
    end: buffer1[0] + buffer1[1],
    content: now.slice(buffer2[0], buffer2[0] + buffer2[1]),
  }))
}

/** The first paragraph counts as having the usual gap, so that one put before it does not make it another. */
function keysOf(paragraphs: readonly Paragraph[]): string[] {
  const gapOfFirst = usualGap(paragraphs)
  return paragraphs.map(({ gap, text }) => (gap || gapOfFirst) + text)
}

/** Both lists in the order of the base, an edit made by both once; undefined when two of them overlap. */
function interleave(first: readonly Edit[], second: readonly Edit[]): readonly Edit[] | undefined {
  const sorted = [...first, ...second].sort((a, b) => a.start - b.start || a.end - b.end)
  const edits: Edit[] = []
  for (const edit of sorted) {
    const previous = edits.at(-1)
    if (previous && isSameEdit(previous, edit)) continue
    if (previous && edit.start < previous.end && previous.start < edit.end) return undefined
    edits.push(edit)
  }
  return edits
}

function isSameEdit(left: Edit, right: Edit): boolean {
  if (left.start !== right.start || left.end !== right.end) return false
  return keysOf(left.content).join('\u0000') === keysOf(right.content).join('\u0000')
}
