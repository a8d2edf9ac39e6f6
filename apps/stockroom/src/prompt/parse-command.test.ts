import { expect, test } from 'vitest'

import { parseCommand } from './parse-command.ts'

test.each([
  ['', { kind: 'nothing' }],
  ['  HELP ', { kind: 'help' }],
  ['exit', { kind: 'quit' }],
  ['find star wars', { kind: 'find', text: 'star wars' }],
  ['show 12', { kind: 'show', film: '12' }],
  ['history "king kong"', { kind: 'history', film: 'king kong' }],
  ['sync', { kind: 'sync', who: undefined }],
  ['b sync', { kind: 'sync', who: 'ben' }],
  ['outbox a', { kind: 'outbox', who: 'ana' }],
  ['airplane b on', { kind: 'airplane', who: 'ben', isOn: true }],
  ['a airplane off', { kind: 'airplane', who: 'ana', isOn: false }],
  ['a set alien price 9.99', { kind: 'set', who: 'ana', film: 'alien', field: 'price', value: '9.99' }],
  [
    'ben set "king kong" title King Kong II',
    { kind: 'set', who: 'ben', film: 'king kong', field: 'title', value: 'King Kong II' },
  ],
  ['b sell 7 2', { kind: 'stock', who: 'ben', film: '7', change: -2 }],
  ['b sell 7', { kind: 'stock', who: 'ben', film: '7', change: -1 }],
  ['a receive 7 12', { kind: 'stock', who: 'ana', film: '7', change: 12 }],
  ['a tag 7 space opera', { kind: 'tag', who: 'ana', film: '7', tag: 'space opera', isAdded: true }],
  ['a untag 7 drama', { kind: 'tag', who: 'ana', film: '7', tag: 'drama', isAdded: false }],
  ['b note 7 box is torn', { kind: 'note', who: 'ben', film: '7', text: 'box is torn' }],
  ['a add The Third Man', { kind: 'add', who: 'ana', title: 'The Third Man' }],
  ['a delete the third man', { kind: 'delete', who: 'ana', film: 'the third man' }],
  ['restore 7 shelf', { kind: 'restore', who: 'ana', film: '7', field: 'shelf' }],
  ['settle 1 theirs', { kind: 'settle', who: 'ana', number: 1, choice: 'theirs' }],
  [
    'b settle 2 price=9.99 title="Alien 1"',
    { kind: 'settle', who: 'ben', number: 2, choice: { values: { price: '9.99', title: 'Alien 1' } } },
  ],
])('%s is understood', (line, command) => {
  expect(parseCommand(line)).toEqual(command)
})

test.each([
  ['dance', '"dance" is not known here. Try "help".'],
  ['sell 7 2', 'Who does it? "a sell …" is Ana, "b sell …" is Ben.'],
  ['a', 'And what should be done? Try "help".'],
  ['a sell', 'a sell <film> …'],
  ['a sell 7 some', 'How many? "some" is no number of discs.'],
  [
    'a set 7 stock 4',
    'a set <film> <field> <value>; the field is one of title, description, price, director, genre, shelf',
  ],
  ['a set 7 price', 'What should the price be?'],
  ['a tag 7', 'a tag <film> <tag>'],
  ['airplane on', 'airplane a|b on|off'],
  ['settle one mine', 'settle <n> mine|theirs, or: settle <n> price=9.99'],
  ['settle 1 perhaps', 'settle <n> mine|theirs, or: settle <n> price=9.99'],
  ['show', 'show <film>'],
])('%s is answered with what is missing', (line, because) => {
  expect(parseCommand(line)).toEqual({ kind: 'unclear', because })
})
