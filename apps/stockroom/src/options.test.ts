import { expect, test } from 'vitest'

import { parseOptions } from './options.ts'

test('without words the tour takes a free port and stays up', () => {
  expect(parseOptions([])).toEqual({
    port: 0,
    isOnce: false,
    wantsPrompt: false,
    skipsStories: false,
    wantsHelp: false,
  })
})

test('every option is read', () => {
  expect(parseOptions(['--port', '4000', '--once', '--prompt', '--skip'])).toEqual({
    port: 4000,
    isOnce: true,
    wantsPrompt: true,
    skipsStories: true,
    wantsHelp: false,
  })
})

test.each([[['--port', 'x']], [['--port', '70000']], [['--colour']], [['now']]])('%j is refused', (argv) => {
  expect(parseOptions(argv)).toBeTypeOf('string')
})
