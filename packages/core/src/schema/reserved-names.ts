/** Names of collections and fields: what every store can hold as an identifier. */
const namePattern = /^[A-Za-z][A-Za-z0-9_]{0,62}$/

/** Members of the client object, and what JavaScript itself asks an object for. */
const clientMembers = [
  'account',
  'attachments',
  'catch',
  'close',
  'collection',
  'collections',
  'conflicts',
  'constructor',
  'deadletters',
  'device',
  'doctor',
  'escrow',
  'export',
  'finally',
  'inspect',
  'outbox',
  'query',
  'scopes',
  'status',
  'sync',
  'then',
  'tojson',
  'transaction',
  'verdict',
  'watch',
]
const routes = ['push', 'pull', 'snapshot', 'stream', 'receipts']
const reservedCollections = new Set([...clientMembers, ...routes])

const reservedFields = new Set([
  'id',
  'version',
  'created_at',
  'updated_at',
  'server_updated_at',
  'deleted_at',
  'scopes',
  'last_sync_at',
  'baseversion',
  // SQLite's own name of the row number; a column of that name would hide it.
  'rowid',
])

/** What is wrong with the name of a collection, and what to write instead; undefined when nothing is. */
export function collectionNameMistake(name: string): string | undefined {
  const lower = name.toLowerCase()
  if (/^(_|holdfast|sqlite)/.test(lower)) return 'names that begin with _, holdfast or sqlite are reserved'
  return shapeMistake(name) ?? (isTaken(name, reservedCollections) ? reservedText(name) : undefined)
}

/** What is wrong with the name of a field or field group, and what to write instead; undefined when nothing is. */
export function fieldNameMistake(name: string): string | undefined {
  if (name.startsWith('_')) return 'names that begin with _ are reserved'
  return shapeMistake(name) ?? (isTaken(name, reservedFields) ? reservedText(name) : undefined)
}

function shapeMistake(name: string): string | undefined {
  if (namePattern.test(name)) return undefined
  return 'a name is a letter and then at most 62 letters, digits or underscores'
}

/** Databases take upper and lower case for the same, and objects answer for the members of Object.prototype. */
function isTaken(name: string, reserved: ReadonlySet<string>): boolean {
  return reserved.has(name.toLowerCase()) || name in Object.prototype
}

function reservedText(name: string): string {
  return `"${name}" is reserved; choose another name`
}
