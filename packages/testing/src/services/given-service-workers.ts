import type { BrowserContext, CDPSession } from 'playwright'

/** The browser's own way to fire events in the service worker of an origin, as its developer tools do. */
export interface ServiceWorkers {
  /** There is a network again, as far as the browser can tell. */
  sync(tag?: string): Promise<void>
  /** A push message came. */
  push(): Promise<void>
  /** Ends the service worker of the origin, wherever it is. */
  stop(): Promise<void>
}

/** Finds the service worker of an origin. It is spoken to from a page that is none of that origin. */
export async function openServiceWorkers(context: BrowserContext, origin: string): Promise<ServiceWorkers> {
  const page = await context.newPage()
  const session: CDPSession = await page.context().newCDPSession(page)
  const found = Promise.withResolvers<string>()
  session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
    const own = registrations.find(({ scopeURL, isDeleted }) => !isDeleted && scopeURL === `${origin}/`)
    if (own) found.resolve(own.registrationId)
  })
  await session.send('ServiceWorker.enable')
  const registrationId = await found.promise
  return {
    sync: async (tag = 'holdfast') => {
      await session.send('ServiceWorker.dispatchSyncEvent', {
        origin,
        registrationId,
        tag,
        lastChance: false,
      })
    },
    push: async () => {
      await session.send('ServiceWorker.deliverPushMessage', { origin, registrationId, data: '' })
    },
    stop: async () => {
      await session.send('ServiceWorker.stopAllWorkers')
    },
  }
}
