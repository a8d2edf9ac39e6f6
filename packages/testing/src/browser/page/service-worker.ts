import {
  backgroundTag,
  retryLater,
  type SendReport,
  sendSealedBatches,
} from '@holdfast/client/service-worker'

// The types of a page and of a service worker cannot be had in one program: what is used here of the latter.
interface ExtendableEvent extends Event {
  readonly tag?: string
  waitUntil(work: Promise<unknown>): void
}

const on = (kind: string, handle: (event: ExtendableEvent) => void): void =>
  // An event of these kinds is one.
  globalThis.addEventListener(kind, (event) => handle(event as ExtendableEvent))

// Its address says whether this service worker gets tokens by itself: tokens of the shop are names.
const token = new URL(location.href).searchParams.get('token')

/** Sends, and notes what came of it where a test finds it. */
async function send(): Promise<SendReport> {
  const report = await sendSealedBatches(token === null ? {} : { token: () => token })
  const notes = await caches.open('reports')
  const outcomes = report.batches.map(({ outcome }) => outcome)
  await notes.put(`/report/${(await notes.keys()).length}`, Response.json(outcomes))
  return report
}

on('sync', (event) => {
  if (event.tag === backgroundTag) event.waitUntil(send().then(retryLater))
})
on('push', (event) => event.waitUntil(send()))
on('message', (event) => event.waitUntil(send()))
