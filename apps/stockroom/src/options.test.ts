import { expect, test } from 'vitest'

import { parseOptions } from './options.ts'

test('without words it is the web app that is served', () => {
  expect(parseOptions([])).toMatchObject({
    port: null,
    isTour: false,
    isOnce: false,
    wantsPrompt: false,
    skipsStories: false,
    wantsHelp: false,
  })
})

test('every option is read', () => {
  expect(parseOptions(['--port', '4000', '--once', '--prompt', '--skip', '--data', 'x'])).toEqual({
    port: 4000,
    folder: 'x',
    isTour: true,
    isOnce: true,
    wantsPrompt: true,
    skipsStories: true,
    wantsHelp: false,
  })
})

test.each([[['--port', 'x']], [['--port', '70000']], [['--colour']], [['now']]])('%j is refused', (argv) => {
  expect(parseOptions(argv)).toBeTypeOf('string')
})

test.each(['--tour', '--once', '--prompt', '--skip'])('%s is of the tour', (word) => {
  expect(parseOptions([word])).toMatchObject({ isTour: true, port: null })
})
