/** Whose device a command is for. */
export type Who = 'ana' | 'ben'

/** What a person typed at the prompt, understood. `film` is a number or the beginning of a title, still to be found. */
export type Command =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'help' }
  | { readonly kind: 'quit' }
  | { readonly kind: 'status' }
  | { readonly kind: 'conflicts' }
  | { readonly kind: 'find'; readonly text: string }
  | { readonly kind: 'show'; readonly film: string }
  | { readonly kind: 'history'; readonly film: string }
  | { readonly kind: 'sync'; readonly who: Who | undefined }
  | { readonly kind: 'outbox'; readonly who: Who | undefined }
  | { readonly kind: 'airplane'; readonly who: Who; readonly isOn: boolean }
  | {
      readonly kind: 'set'
      readonly who: Who
      readonly film: string
      readonly field: TextField
      readonly value: string
    }
  | { readonly kind: 'stock'; readonly who: Who; readonly film: string; readonly change: number }
  | {
      readonly kind: 'tag'
      readonly who: Who
      readonly film: string
      readonly tag: string
      readonly isAdded: boolean
    }
  | { readonly kind: 'note'; readonly who: Who; readonly film: string; readonly text: string }
  | { readonly kind: 'add'; readonly who: Who; readonly title: string }
  | { readonly kind: 'delete'; readonly who: Who; readonly film: string }
  | { readonly kind: 'restore'; readonly who: Who; readonly film: string; readonly field: string }
  | { readonly kind: 'settle'; readonly who: Who; readonly number: number; readonly choice: Choice }
  /** Not understood, and why. */
  | { readonly kind: 'unclear'; readonly because: string }

/** The fields that `set` sets. */
const textFields = ['title', 'description', 'price', 'director', 'genre', 'shelf'] as const
type TextField = (typeof textFields)[number]

/** How a conflict is to end: with the side that met it, with the side that was there, or with values of its own. */
type Choice = 'mine' | 'theirs' | { readonly values: Readonly<Record<string, string>> }

/** Every command with what it does, for `help`. */
export const commandHelp: readonly (readonly [command: string, meaning: string])[] = [
  ['find <text>', 'films by a part of their title, numbered'],
  ['show <film>', 'both devices and the server'],
  ['a set <film> <field> <value>', 'title, description, price, shelf, genre …'],
  ['b sell <film> [n]', 'n discs fewer; "receive" for more'],
  ['a tag <film> <tag>', 'add a tag; "untag" removes one'],
  ['a note <film> <text>', 'add a paragraph to the notes'],
  ['a add <title>', 'a new film; "a delete <film>"'],
  ['airplane a on', 'off the network; "off" brings it back'],
  ['sync [a|b]', 'sync now'],
  ['conflicts', 'what waits for a decision'],
  ['settle <n> mine|theirs', 'decide it; or: settle <n> price=9.99'],
  ['outbox [a|b]', 'edits that are not settled'],
  ['history <film>', 'who, when, which rule decided'],
  ['restore <film> <field>', 'bring back the last value that lost'],
  ['status', 'both devices at a glance'],
  ['quit', 'the end'],
]

/** Understands one line. Films with blanks in their titles go in double quotes. */
export function parseCommand(line: string): Command {
  const words = splitWords(line)
  const who = readWho(words[0])
  const [verb = '', ...rest] = who === undefined ? words : words.slice(1)
  if (verb === '')
    return who === undefined ? { kind: 'nothing' } : unclear('And what should be done? Try "help".')
  return parseCommon(verb.toLowerCase(), rest, who) ?? parseEdit(verb.toLowerCase(), rest, who)
}

function parseCommon(verb: string, rest: readonly string[], who: Who | undefined): Command | undefined {
  const [first = '', second = ''] = rest
  switch (verb) {
    case 'help':
    case '?':
      return { kind: 'help' }
    case 'quit':
    case 'exit':
      return { kind: 'quit' }
    case 'status':
      return { kind: 'status' }
    case 'conflicts':
      return { kind: 'conflicts' }
    case 'sync':
    case 'outbox':
      return { kind: verb, who: who ?? readWho(first) }
    case 'find':
      return first === '' ? unclear('find <text>') : { kind: 'find', text: rest.join(' ') }
    case 'show':
    case 'history':
      return first === '' ? unclear(`${verb} <film>`) : { kind: verb, film: rest.join(' ') }
    case 'airplane':
      return parseAirplane(who ?? readWho(first), who === undefined ? second : first)
    case 'settle':
      return parseSettle(rest, who)
    case 'restore':
      return second === ''
        ? unclear('restore <film> <field>')
        : { kind: 'restore', who: who ?? 'ana', film: first, field: second }
    default:
      return undefined
  }
}

function parseEdit(verb: string, rest: readonly string[], who: Who | undefined): Command {
  const [film = '', second = ''] = rest
  const tail = rest.slice(1).join(' ')
  if (!['set', 'sell', 'receive', 'tag', 'untag', 'note', 'add', 'delete'].includes(verb)) {
    return unclear(`"${verb}" is not known here. Try "help".`)
  }
  if (who === undefined) return unclear(`Who does it? "a ${verb} …" is Ana, "b ${verb} …" is Ben.`)
  if (film === '') return unclear(`a ${verb} <${verb === 'add' ? 'title' : 'film'}> …`)
  switch (verb) {
    case 'add':
      return { kind: 'add', who, title: rest.join(' ') }
    case 'delete':
      return { kind: 'delete', who, film: rest.join(' ') }
    case 'sell':
    case 'receive':
      return parseStock({ who, film, count: second === '' ? '1' : second, sign: verb === 'sell' ? -1 : 1 })
    case 'set':
      return parseSet({ who, film, field: second, value: rest.slice(2).join(' ') })
  }
  if (tail === '') return unclear(`a ${verb} <film> <${verb === 'note' ? 'text' : 'tag'}>`)
  if (verb === 'note') return { kind: 'note', who, film, text: tail }
  return { kind: 'tag', who, film, tag: tail, isAdded: verb === 'tag' }
}

function parseSet(words: { who: Who; film: string; field: string; value: string }): Command {
  const field = textFields.find((name) => name === words.field)
  if (field === undefined)
    return unclear(`a set <film> <field> <value>; the field is one of ${textFields.join(', ')}`)
  return words.value === '' ? unclear(`What should the ${field} be?`) : { kind: 'set', ...words, field }
}

function parseStock(words: { who: Who; film: string; count: string; sign: number }): Command {
  if (!/^[1-9]\d{0,5}$/.test(words.count)) return unclear(`How many? "${words.count}" is no number of discs.`)
  return { kind: 'stock', who: words.who, film: words.film, change: words.sign * Number(words.count) }
}

function parseAirplane(who: Who | undefined, state: string): Command {
  if (who === undefined || (state !== 'on' && state !== 'off')) return unclear('airplane a|b on|off')
  return { kind: 'airplane', who, isOn: state === 'on' }
}

function parseSettle([number = '', ...choice]: readonly string[], who: Who = 'ana'): Command {
  const isNumber = /^[1-9]\d{0,3}$/.test(number)
  if (!isNumber || choice.length === 0) return unclear('settle <n> mine|theirs, or: settle <n> price=9.99')
  if (choice[0] === 'mine' || choice[0] === 'theirs') {
    return { kind: 'settle', who, number: Number(number), choice: choice[0] }
  }
  const pairs = choice.map((word) => /^(\w+)=(.*)$/.exec(word))
  if (pairs.includes(null)) return unclear('settle <n> mine|theirs, or: settle <n> price=9.99')
  const values = Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', pair?.[2] ?? '']))
  return { kind: 'settle', who, number: Number(number), choice: { values } }
}

function readWho(word: string | undefined): Who | undefined {
  const name = word?.toLowerCase()
  if (name === 'a' || name === 'ana') return 'ana'
  return name === 'b' || name === 'ben' ? 'ben' : undefined
}

function unclear(because: string): Command {
  return { kind: 'unclear', because }
}

/** Words between blanks; double quotes keep blanks, also behind an equals sign. */
function splitWords(line: string): readonly string[] {
  const words = line.match(/(?:"[^"]*"|[^\s"])+/g) ?? []
  return words.map((word) => word.replaceAll('"', ''))
}
