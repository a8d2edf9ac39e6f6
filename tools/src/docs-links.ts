import { lineAt } from './syntax.ts'

/** A page to check; `path` is relative to the root. */
export type Page = { readonly path: string; readonly text: string }

/** Links of a page that lead nowhere, to a heading that is not there, or to a line number, which drifts. */
export function findBrokenLinks(page: Page, readText: (path: string) => string | undefined): string[] {
  const text = blankCode(page.text)
  const found: string[] = []
  for (const match of text.matchAll(/!?\[[^\]]*\]\(([^)\s]+)(?:\s+"[^"]*")?\)|^\[[^\]]+\]:\s*(\S+)/gm)) {
    const target = match[1] ?? match[2] ?? ''
    const says = judgeLink(page, target, readText)
    if (says !== undefined) found.push(`${page.path}:${lineAt(text, match.index)} ${says}: ${target}`)
  }
  return found
}

function judgeLink(
  page: Page,
  target: string,
  readText: (path: string) => string | undefined,
): string | undefined {
  if (/#L\d+|\.[a-z]+:\d+$/.test(target)) return 'links to a line number'
  if (/^[a-z]+:/i.test(target)) return undefined
  const [relative = '', anchor] = target.split('#')
  const path = relative === '' ? page.path : resolvePath(page.path, decodeURIComponent(relative))
  const text = readText(path)
  if (text === undefined) return 'links to a file that does not exist'
  if (anchor === undefined || !path.endsWith('.md')) return undefined
  return headingAnchors(text).has(anchor.toLowerCase()) ? undefined : 'links to a heading that does not exist'
}

function resolvePath(fromPath: string, relative: string): string {
  const parts = relative.startsWith('/') ? [] : fromPath.split('/').slice(0, -1)
  for (const part of relative.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.' && part !== '') parts.push(part)
  }
  return parts.join('/')
}

/** The anchors GitHub gives to headings: lower case, words joined by hyphens, punctuation gone, repeats numbered. */
export function headingAnchors(markdown: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, title = ''] of blankFences(markdown).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const plain = title.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '')
    const slug = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-')
    let anchor = slug
    for (let repeat = 1; anchors.has(anchor); repeat += 1) anchor = `${slug}-${repeat}`
    anchors.add(anchor)
  }
  for (const [, name = ''] of markdown.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(name)
  return anchors
}

/** Replaces code by blanks of the same length, so that lines keep their numbers. */
function blankCode(markdown: string): string {
  return blankFences(markdown).replace(/`[^`\n]+`/g, (code) => ' '.repeat(code.length))
}

function blankFences(markdown: string): string {
  return markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, (fence) => fence.replace(/[^\n]/g, ' '))
}
