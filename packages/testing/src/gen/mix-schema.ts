import {
  attachment,
  boolean,
  collection,
  type CollectionDeclaration,
  counter,
  custom,
  decimal,
  defineSchema,
  integer,
  json,
  real,
  reference,
  type Schema,
  set,
  text,
  timestamp,
  transitions,
} from '@holdfast/core'

/** Which of two texts stands is told from them alone, whoever merges them. */
const longerStands = custom(({ mine, theirs }) => {
  if (typeof mine !== 'string' || typeof theirs !== 'string') return undefined
  if (mine.length !== theirs.length) return mine.length > theirs.length ? mine : theirs
  return mine > theirs ? mine : theirs
}, 'The longer report stands.')

/** Areas of a site. */
function areasOf(priority: number) {
  return collection({
    fields: { site: text(), name: text(), hazard: text({ merge: 'latest', default: '' }) },
    scope: 'site:{site}',
    onDelete: 'edit',
    priority,
  })
}

/** All others. */
const others = {
  jobs: collection({
    fields: {
      site: text(),
      title: text({ maxLength: 120 }),
      area: reference('areas', { optional: true }),
      state: text({
        merge: transitions({ draft: ['open'], open: ['done', 'void'], done: ['open'], void: [] }),
        default: 'draft',
      }),
      visits: counter(),
      stock: counter(),
      tags: set(text()),
      crews: set(integer()),
      notes: text({ merge: 'paragraphs', default: '' }),
      report: text({ merge: longerStands, default: '' }),
      worst: integer({ merge: 'max', default: 0 }),
      cheapest: decimal({ merge: 'min', default: '999.00' }),
      depth: real({ merge: 'latest', optional: true }),
      dueAt: timestamp({ optional: true }),
      seenAt: timestamp({ merge: 'latest', optional: true }),
      urgent: boolean({ default: false }),
      office: text({ merge: 'server', default: '' }),
      details: json({ optional: true }),
      photo: attachment(),
      street: text({ default: '' }),
      house: text({ default: '' }),
      city: text({ optional: true }),
      approval: text({ owner: 'server', optional: true }),
    },
    scope: 'site:{site}',
    groups: { address: ['street', 'house', 'city'] },
    indexes: [['site', 'state']],
  }),
  lines: collection({
    fields: {
      site: text(),
      job: reference('jobs'),
      item: text(),
      amount: integer({ default: 1 }),
      price: decimal({ default: '0.00' }),
      used: counter(),
    },
    scope: 'site:{site}',
    onDelete: 'delete',
    outbox: 'preserve',
  }),
  permits: collection({
    fields: {
      site: text(),
      holder: text(),
      level: integer({ default: 1 }),
      validUntil: timestamp({ merge: 'max', optional: true }),
      signed: boolean({ optional: true }),
      terms: json({ merge: 'latest', default: {} }),
      uses: counter(),
    },
    scope: 'site:{site}',
    strict: true,
    deletes: 'hard',
  }),
  handovers: collection({
    fields: {
      site: text(),
      with: text({ optional: true }),
      subject: text(),
      heads: counter(),
      weight: real({ default: 0 }),
      box: text({ default: '' }),
      shelf: text({ default: '' }),
    },
    // Two sites see a row that is handed over.
    scope: ['site:{site}', 'site:{with}'],
    groups: { place: { fields: ['box', 'shelf'], merge: 'latest' } },
  }),
  badges: collection({
    fields: { site: text(), code: text(), owner: text({ default: '' }), swipes: counter() },
    scope: 'site:{site}',
    // Without the site: two sites of one tenant may want the same code.
    unique: [['code']],
  }),
  keys: collection({
    fields: { site: text(), label: text(), box: integer({ default: 0 }), note: text({ default: '' }) },
    scope: 'site:{site}',
    unique: [{ fields: ['site', 'label'], onConflict: 'rename', ignoreCase: true }],
  }),
  lockers: collection({
    fields: { site: text(), number: integer(), code: text(), holder: text({ default: '' }) },
    scope: 'site:{site}',
    unique: [
      { fields: ['site', 'code'], onConflict: 'ask' },
      { fields: ['site', 'number'], onConflict: 'reject' },
    ],
    deletes: 'hard',
  }),
  // Written two at a time, by one transaction, both with the same fresh mark; never otherwise, and never deleted.
  pairs: collection({ fields: { site: text(), mark: text() }, scope: 'site:{site}' }),
}

/**
 * The app of a crew in the field, for simulated runs: every kind of field, every merge rule and every option of a
 * collection is in it. Each row lies in the scope of its site, `site:t0a` for site a of tenant 0. Rules: SIM-20.
 */
export const mixSchema: Schema = defineSchema({ version: 2, collections: { areas: areasOf(2), ...others } })

/** The same with one class of priority, as most apps have it: an outbox is cut in another way there. */
export const evenSchema: Schema = defineSchema({ version: 2, collections: { areas: areasOf(0), ...others } })

/** What the app of before does not know, by collection: of lockers it knows nothing. */
const newFields = {
  areas: ['hazard'],
  jobs: ['stock', 'tags', 'notes', 'worst', 'seenAt', 'details', 'approval'],
  lines: ['price'],
  permits: ['terms'],
  handovers: ['heads'],
  badges: ['owner'],
  keys: ['note'],
}

/** The app of before each of them. */
function earlierApp(priority: number): Schema {
  const { lockers: _, ...known } = { areas: areasOf(priority), ...others }
  const collections: Record<string, CollectionDeclaration> = { ...known }
  for (const [name, gone] of Object.entries(newFields)) {
    const declaration = collections[name]
    if (declaration === undefined) continue
    const kept = Object.entries(declaration.fields).filter(([field]) => !gone.includes(field))
    collections[name] = { ...declaration, fields: Object.fromEntries(kept) }
  }
  return defineSchema({ version: 1, collections })
}

export const earlierMix: Schema = earlierApp(2)
export const earlierEven: Schema = earlierApp(0)

/** The collection of a schema whose rows are written two at a time; undefined for every schema but those above. */
export function pairsOf(schema: Schema): 'pairs' | undefined {
  return [mixSchema, evenSchema, earlierMix, earlierEven].includes(schema) ? 'pairs' : undefined
}

const siteLetters = ['a', 'b', 'c']

/** The sites of a tenant, as rows name them: `t0a`. */
function sitesOf(tenant: number): readonly string[] {
  return siteLetters.map((letter) => `t${tenant}${letter}`)
}

/** The scopes of a tenant: one for each of its sites. */
export function scopesOfTenant(tenant: number): readonly string[] {
  return sitesOf(tenant).map((site) => `site:${site}`)
}

/**
 * What every text that a tenant writes begins with. A row that moves to another site keeps its values, so marks name
 * tenants and not sites: no byte of another tenant's may ever be seen, and that can be told from the bytes alone.
 */
export function markOf(tenant: number): string {
  return `§t${tenant}§`
}

/** The tenants whose marks are in a text or in bytes of UTF-8, each once, such as `t0`. Rules: SIM-21. */
export function marksIn(content: string | Uint8Array): readonly string[] {
  // Read as Latin-1, each byte is one character, and the sign is the two that UTF-8 spells it with.
  const isText = typeof content === 'string'
  const text = isText
    ? content
    : Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1')
  const sign = isText ? '§' : 'Â§'
  const marks = new Set<string>()
  for (let at = text.indexOf(sign); at >= 0; at = text.indexOf(sign, at + 1)) {
    const start = at + sign.length
    const end = text.indexOf(sign, start)
    // A mark is `t` and a few digits; what is longer is the text between two marks.
    if (end < 0) break
    if (end - start > 4 || text.charCodeAt(start) !== 0x74) continue
    const mark = text.slice(start, end)
    if (/^t\d+$/.test(mark)) marks.add(mark)
  }
  return [...marks]
}
