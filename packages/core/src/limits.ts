/**
 * Every bound in Holdfast, with its unit and the reason for the number. A loop, page, batch, queue or retry without
 * an entry here is a bug. Hosts may lower a limit through options; raising one is a decision for this file.
 */
export const limits = {
  /** Mutations in one user transaction: what a server can lock and merge in well under a second. */
  groupMutations: 500,
  /** JSON bytes in one user transaction: must fit in one push body with room to spare. */
  groupBytes: 1_000_000,
  /** Mutations a push starts with; small enough to settle over a bad link. */
  pushBatchStart: 50,
  /** Mutations a push grows to while answers come quickly; also what the server accepts. */
  pushBatchMax: 1_000,
  /** JSON bytes of one push body: what the server reads before it answers 413. */
  pushBytes: 4_194_304,
  /** JSON bytes of one mutation: one fat record must not fill a batch. */
  mutationBytes: 262_144,
  /** Outbox entries folded into one mutation: bounds the work of one fold. */
  foldEntries: 1_000,
  /** Rows a pull page holds when the client does not say. */
  pullRows: 1_000,
  /** Rows a client may ask for in one page. */
  pullRowsMax: 10_000,
  /** Rows of one snapshot page asked for by the Node client: pages of this size keep the transfer in bulk. */
  snapshotRows: 5_000,
  /** JSON bytes after which a page is closed early, so that fat rows do not fill the memory. */
  pageBytes: 4_194_304,
  /** Pages of one pull before it is flipped all the same: the head outruns the reader. */
  pullPages: 100_000,
  /** Nesting of any JSON that enters; deeper input is refused before it is stored. */
  jsonDepth: 32,
  /** UTF-16 units of one text value. */
  textLength: 100_000,
  /** JSON bytes of one json value. */
  jsonBytes: 131_072,
  /** Paragraphs of a text that are merged; comparing takes their square, so that beyond this a person decides. */
  paragraphs: 2_000,
  /** Members of one set. */
  setMembers: 1_000,
  /** Digits of a decimal before and after the point together. */
  decimalDigits: 34,
  /** Attempts that may count against one entry before it becomes a dead letter. */
  entryAttempts: 20,
  /** First wait after a failed request, in ms. */
  retryBaseMs: 500,
  /** Longest wait between two attempts, in ms. */
  retryCapMs: 900_000,
  /** A request without an answer for this long is given up, in ms; and by a server that does not have it by then. */
  requestTimeoutMs: 45_000,
  /** The same from the moment on when the network is back or somebody asks for a sync, in ms: what was sent before may be lost. */
  hurriedTimeoutMs: 10_000,
  /** The whole of an answer must be here by then, in ms: a server that drips bytes may not hold the engine for ever. */
  responseTimeoutMs: 600_000,
  /** Bytes of one answer the device reads: a page with its fat last row and outcomes fits several times over. */
  responseBytes: 33_554_432,
  /** Days by the device's clock for which what is settled is kept: a server that was put back may have lost it. */
  retainedDays: 7,
  /** Settled mutations kept at most, the newest: some weeks of one person's work. */
  retainedRows: 20_000,
  /** JSON bytes of settled mutations kept at most: what a phone does not notice. */
  retainedBytes: 33_554_432,
  /** Numbers of settled mutations a push names at most, the newest: what a restored server lost is among them. */
  retainedNamed: 1_000,
  /** Edits in escrow that a pull asks after at most, the oldest first; those behind them are asked after once these ended. */
  escrowAsked: 200,
  /** Keys that a pull asks after because they had been decided before. */
  decidedAsked: 5_000,
  /** Characters of the reason an operator gives who refuses an edit. */
  escrowReasonLength: 1_000,
  /** Wait between two looks for connectivity while offline, in ms. */
  probeIntervalMs: 15_000,
  /** Wait between two syncs when nothing else triggers one, in ms. */
  syncIntervalMs: 60_000,
  /** Longest time a collection of low priority waits because the platform asks to save, in ms. */
  deferMs: 86_400_000,
  /** Quiet in the outbox after which what waits is sealed for the service worker, in ms: what is sealed is folded no more. */
  sealQuietMs: 5_000,
  /** The same while no page is in front of anybody, in ms: the page may be ended at any moment. */
  sealHiddenMs: 250,
  /** Bytes of one attachment; options of a server may say less or more. */
  attachmentBytes: 104_857_600,
  /** Bytes of an attachment in one row of the device's database: a multiple of every page size, and no burden to memory. */
  attachmentPartBytes: 262_144,
  /** Bytes of an upload in one request: a bad link loses little, a good one hardly notices the round trips. */
  uploadPieceBytes: 524_288,
  /** The same where larger ones do not get through. */
  uploadPieceLeastBytes: 32_768,
  /** Bytes of an attachment asked for in one request; what came is kept for the next attempt. A multiple of a row's. */
  downloadPieceBytes: 4_194_304,
  /** Bytes of attachments a device keeps unless the app says otherwise; what was not uploaded comes on top. */
  attachmentCacheBytes: 200_000_000,
  /** Time for which bytes stay that no record names, in ms: they were just added, or the record comes back. */
  attachmentSpareMs: 86_400_000,
  /** Least time between two looks for bytes that no record names, in ms: each reads every attachment field. */
  attachmentSweepMs: 3_600_000,
  /** A lease on the engine is good for this long, in ms; it is renewed at a third. */
  leaseMs: 10_000,
  /** How often a process looks whether another one has written to the same file, in ms, while there are live lists. */
  othersLookMs: 1_000,
  /** Successful cycles whose length a device remembers for its percentiles. */
  latencySamples: 128,
  /** Records whose pending mutations are looked through for foretold conflicts at a time. */
  foretoldRecords: 1_000,
  /** Rows of one range of a digest, about: what is fetched again for one row that differs. */
  rangeRows: 500,
  /** Ranges a pull asks for at most; what a page does not hold is asked for in the next pull. */
  rangesAsked: 64,
  /** Time between two comparisons of a device's copy with the server's, in ms: a scan of both copies once a day. */
  verifyIntervalMs: 86_400_000,
  /** Skew of a device clock that is believed at first receipt, in ms. */
  clockSkewMs: 300_000,
  /** Days a plain idempotency key is remembered by the server clock. */
  idempotencyKeyDays: 30,
  /** Days the (number, key, hash) of an acknowledged outcome stays, so that clones are noticed. */
  outcomeDays: 30,
  /** Scopes named in a cursor before the server keeps the list under its hash. */
  cursorScopes: 50,
  /** Live streams one server process holds open; beyond it devices are asked to come back, and sync without pokes. */
  streams: 10_000,
  /** Silence on a stream after which a comment is sent, in ms: proxies cut connections that are silent for 30 s. */
  streamHeartbeatMs: 20_000,
  /** Least time between two looks at one stream's grants and the pokes that follow, in ms: commits in between share one. */
  pokeIntervalMs: 100,
  /** Pushes and plain writes one server process works on at once; beyond it devices are asked to come back. Each holds its body in memory. */
  pushesInFlight: 200,
  /** Pulls, snapshot pages and plain reads one server process works on at once; beyond it devices are asked to come back. */
  pullsInFlight: 400,
  /** Uploads whose bytes one server process takes at once; beyond it devices are asked to come back. */
  uploadsInFlight: 200,
  /** Part of `streams`, `pushesInFlight`, `pullsInFlight` and `uploadsInFlight` that one user may have, from 0 to 1; one of each at least. */
  shareOfUser: 0.5,
  /** Longest wait asked for when too much is in flight, in ms, before its jitter of half: a fleet is back in five minutes. */
  turnAwayMs: 200_000,
  /** Time for which whoever applies a queued push has it alone, in ms; a worker that died is not waited for longer. */
  receiptLeaseMs: 60_000,
  /** Times that somebody begins to apply a queued push before its answer is that the server failed. */
  receiptAttempts: 10,
  /** Time an answered receipt is kept, in ms: a device that asks later offers again, which changes nothing. */
  receiptKeptMs: 3_600_000,
  /** Wait between two looks for queued pushes that no job brought, in ms, and how old they must be. */
  receiptSweepMs: 5_000,
  /** Queued pushes a look finds at most; the next one finds more. */
  receiptsSwept: 1_000,
  /** Wait between two questions after a receipt when no stream tells of it, in ms; jittered, and doubled up to the cap. */
  receiptPollMs: 2_000,
  /** Lines of the audit that a handler or webhook takes at a time: what is repeated when a node dies is no more. */
  eventRows: 200,
  /** Events of one handler or webhook that are under way at once, each of another record. */
  eventConcurrency: 8,
  /** Least time between two looks for events of one handler or webhook, in ms: commits in between share one. */
  eventIntervalMs: 100,
  /** Longest time between two looks, in ms: for commits that nobody told of, and for what is due again. */
  eventPollMs: 1_000,
  /** An event must be taken by then, in ms, or it is tried again. */
  eventTimeoutMs: 15_000,
  /** Attempts at one event before it is a dead letter: with the waits in between about a day. */
  eventAttempts: 150,
  /** Events of one handler or webhook that may wait for another attempt before it takes on nothing more. */
  eventsWaiting: 1_000,
  /** A node that works a handler or webhook and has not shown for so long that it lives is replaced, in ms. */
  eventLeaseMs: 15_000,
  /** Time between two rounds of forgetting what is older than `retention` says, in ms; give or take a quarter. */
  retentionIntervalMs: 3_600_000,
  /** Days for which an attachment that nothing names any more is kept, unless the options of the server say otherwise. */
  attachmentKeepDays: 30,
  /** Days for which an upload that nothing is added to is kept. */
  uploadKeepDays: 7,
  /** Attachments that one round of forgetting asks the store about at once. */
  attachmentsAsked: 500,
  /** Characters of an Idempotency-Key header. */
  idempotencyKeyLength: 255,
  /** Characters, as Unicode counts them, of the name of a scope in which rows can lie. */
  scopeLength: 200,
  /** Fields of one collection. */
  collectionFields: 200,
  /** Collections of one schema. */
  schemaCollections: 200,
} as const

/** The table of limits, or a copy in which a host lowered some. */
export type Limits = { readonly [Name in keyof typeof limits]: number }
