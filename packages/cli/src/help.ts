import { readFileSync } from 'node:fs'

const overview = `holdfast: offline-first sync for TypeScript

  holdfast dev --schema FILE       a server for development, with an embedded SQLite store
  holdfast doctor                  look for what is wrong, and say what to do about it
  holdfast migrate --schema FILE --database URL
                                   make or adopt the tables of a PostgreSQL database, after saying what will be done
  holdfast reconcile --schema FILE --database URL
                                   bring rows into the feed that were written while its triggers were off
  holdfast inspect DIR             look into a device's or a server's database, without changing it
  holdfast simulate --schema FILE  see what a schema does to a team that works offline
  holdfast serve FILE              a server with the options that a module exports
  holdfast worker FILE             apply queued pushes, tell handlers and webhooks
  holdfast help COMMAND            the options of a command
  holdfast version`

const topics: Readonly<Record<string, string>> = {
  dev: `holdfast dev --schema FILE [--port N] [--data DIR] [--scopes FILE] [--verbose]

A server on 127.0.0.1 for development. The token "dev:ann" signs in as the user "ann"; anybody may, so this is no
server for other people. Everybody may review what they see. Prints "listening on http://127.0.0.1:N" when it is ready;
SIGTERM or Ctrl-C stops it.

  --schema FILE   a .ts, .js or .mjs module that exports a schema as "schema" or as its default
  --port N        8787 unless said; 0 takes any free port
  --data DIR      where holdfast.db and the folder attachments lie; .holdfast unless said, made if it is missing
  --scopes FILE   who may see what; without it everybody sees everything. Either JSON by user,
                  { "ann": ["warehouse:1"], "*": [] }, where "*" stands for all users that are not named and the
                  file is read again when it changes; or a module that exports scopes(user), user being { id }
  --verbose       one JSON line on stderr for each request`,
  doctor: `holdfast doctor [--data DIR] [--database URL] [--schema FILE] [--tables FILE]

Checks this machine, and with --data the server database DIR/holdfast.db: header, integrity, permissions, rows the
feed does not know. With --schema also that tables and triggers are those the schema makes. With --database and --schema
the same of a PostgreSQL database, and its settings. Changes nothing.
The exit code is 0 when all is well and 1 otherwise.`,
  migrate: `holdfast migrate --schema FILE --database URL [--tables FILE] [--dry-run]

Says in words what a PostgreSQL database (14 or newer) lacks for the schema, then adds it: tables, or in tables that are
there columns, checks, triggers and indexes; then brings the rows that were there into the feed. Drops and rewrites nothing,
lets others write meanwhile, asks nothing. All reasons why it cannot be done are listed before anything is done. Ended
anywhere it may be run again. The exit code is 0 when the database is prepared and 1 otherwise. See docs/postgres.md.

  --schema FILE    a .ts, .js or .mjs module that exports a schema as "schema" or as its default
  --database URL   postgres://user:password@host:5432/name, with the role that owns the tables; what DATABASE_URL in
                   the environment says unless given
  --tables FILE    tables and columns that are called otherwise, as JSON by collection:
                   { "items": { "table": "shop.products", "columns": { "name": "title" } } }
  --dry-run        prints the SQL as well, and changes nothing`,
  reconcile: `holdfast reconcile --schema FILE --database URL [--tables FILE] [--dry-run]

Mends what doctor finds about rows of a PostgreSQL database: rows that were written with triggers off come into the feed,
entries of rows that are gone become deletions, transactions that were committed without a position get one. In batches,
while others write. Run migrate first when triggers are missing.

  --dry-run        counts, and changes nothing`,
  serve: `holdfast serve FILE [--port N] [--host ADDRESS] [--verbose]

A server for other people. Prints "listening on http://ADDRESS:N" when it is ready. SIGTERM or Ctrl-C finishes what is
under way, for 25 s at most, and stops it. See docs/deploying.md.

  FILE            a .ts, .js or .mjs module that exports the options of createServer as "options" or as its default, or a
                  function that makes them; it must not start a server by itself
  --port N        8787 unless said; 0 takes any free port
  --host ADDRESS  0.0.0.0 unless said: every address of this machine
  --verbose       one JSON line on stderr for each request; without it for failures alone. A logger in the options
                  goes before both`,
  worker: `holdfast worker FILE [--concurrency N] [--port N] [--verbose]

Applies the pushes that a server with ingest: { mode: 'queued' } or 'auto' has put into its queue, and works onCommit
handlers, webhooks, retention and the sweep of attachments, in a process that does nothing else. Any number may run. SIGTERM or Ctrl-C finishes what
has begun and stops it; a worker that is killed loses nothing. See docs/queue.md and docs/events.md.

  FILE            a .ts, .js or .mjs module that exports the options of createServer as "options" or as its default, or a
                  function that makes them; it must not start a server by itself
  --concurrency N devices whose pushes are applied at the same time; what the options say otherwise, else 4
  --port N        answers /healthz and /readyz there, for whoever watches it
  --verbose       one JSON line on stderr for everything`,
  inspect: `holdfast inspect DIR [--json]

Shows the databases in DIR: of a device its outbox, shadows, conflicts, dead letters and cursor, of a server its feed,
devices, outcomes and conflicts. Reads only.

  --json          everything as one JSON value`,
  simulate: `holdfast simulate --schema FILE [options]

Runs a schema with simulated people: the shipped client and server, in one process and in virtual time, with lost and
doubled messages, crashes and people who are offline for hours. Says whether every promise was kept, which fields are
edited by several people at once and how that ends, what is refused, what an edit costs on the wire and how long it takes
to arrive. Needs no server and writes no file but the one of --json. Exit code 0 when every promise was kept, else 1.

  --schema FILE    a .ts, .js or .mjs module that exports a schema as "schema" or as its default
  --minutes N      begins no further run after so many minutes; 5 unless said, 0.5 is half a minute
  --seeds N        so many runs, however long they take; the same options then always give the same report
  --seed N         seed of the first run; 1 unless said
  --devices N      20 unless said; ten make a team, and who sees what is taken from the scopes of the schema
  --days N         days of work in each run; 2 unless said
  --edits N        edits on each device and day; 40 unless said
  --offline TIME   how long people are offline, each day half of them: 30m, 8h, 2d, or 0 for never; 8h unless said
  --faults LEVEL   none, usual (unless said) or harsh
  --json FILE      writes the report with all its rows to FILE`,
}

/** What a command does and takes; of all of them without a topic. */
export function helpText(topic: string | undefined): string {
  return (topic === undefined ? undefined : topics[topic]) ?? overview
}

/** The version of this package and of the Node that runs it. */
export function versionText(): string {
  // Our own manifest.
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return `holdfast ${manifest.version} (node ${process.versions.node})`
}
