import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { findBrokenLinks } from './docs-links.ts'
import { listFiles, readRepositoryFile, repositoryRoot } from './source-files.ts'

/** A file's text; a folder counts as an empty page, because a link to it works. */
function readText(path: string): string | undefined {
  const absolute = join(repositoryRoot, path)
  if (!existsSync(absolute)) return undefined
  return statSync(absolute).isDirectory() ? '' : readRepositoryFile(path)
}

test('every relative link in the documents leads somewhere', () => {
  const pages = listFiles('', (path) => path.endsWith('.md'))
  const broken = pages.flatMap((path) => findBrokenLinks({ path, text: readRepositoryFile(path) }, readText))
  expect(broken).toEqual([])
})

test.each([
  ['[a](gone.md)', ['docs/a.md:1 links to a file that does not exist: gone.md']],
  ['\n[a](b.md#no-such)', ['docs/a.md:2 links to a heading that does not exist: b.md#no-such']],
  ['[a](../src/c.ts#L10)', ['docs/a.md:1 links to a line number: ../src/c.ts#L10']],
  ['[a](https://example.com/x#L10)', ['docs/a.md:1 links to a line number: https://example.com/x#L10']],
  ['[a]: gone.md', ['docs/a.md:1 links to a file that does not exist: gone.md']],
  ['[a](b.md#the-first-one-1), [b](#here)\n\n# Here', []],
  ['[a](https://example.com/) and `[b](gone.md)`\n\n```\n[c](gone.md)\n```\n', []],
])('%j gives %j', (text, broken) => {
  const pages: Record<string, string> = {
    'docs/a.md': text,
    'docs/b.md': '# The `first` one\n\n## The first one',
    'src/c.ts': '',
  }
  expect(findBrokenLinks({ path: 'docs/a.md', text }, (path) => pages[path])).toEqual(broken)
})
