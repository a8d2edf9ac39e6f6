// Keeps the app's own files, so that it opens without a network after the first visit, and sends what waits while no tab
// is open. Its data is in its database.
import { backgroundTag, retryLater, sendSealedBatches } from '@holdfast/client/service-worker'

import { isInAirplane, planeCache } from './airplane-note.ts'

// The build puts the list of files here. A file's name changes with its content, so the list is the version too.
const shell = self.shellOfThisBuild
const cacheName = `stockroom ${shell.join(' ')}`

self.addEventListener('install', (event) => {
  const filled = caches.open(cacheName).then((cache) => cache.addAll(shell))
  event.waitUntil(filled.then(() => self.skipWaiting()))
})

self.addEventListener('activate', (event) => {
  const others = caches
    .keys()
    .then((names) => names.filter((name) => name !== cacheName && name !== planeCache))
  const removed = others.then((names) => Promise.all(names.map((name) => caches.delete(name))))
  event.waitUntil(removed.then(() => self.clients.claim()))
})

self.addEventListener('fetch', (event) => {
  const { pathname, origin } = new URL(event.request.url)
  const isOfShell = origin === self.location.origin && shell.includes(pathname)
  if (event.request.method === 'GET' && isOfShell) event.respondWith(answer(event.request, pathname))
})

self.addEventListener('sync', (event) => {
  if (event.tag === backgroundTag) event.waitUntil(sendSealedBatches({ token: signIn }).then(retryLater))
})

self.addEventListener('push', (event) => event.waitUntil(sendSealedBatches({ token: signIn })))

/** Devices are named after their people. One in airplane mode signs nobody in. */
async function signIn({ name }) {
  if (await isInAirplane(name)) return null
  const response = await fetch(`/sign-in?person=${name}`, { method: 'POST' })
  return response.ok ? (await response.json()).token : null
}

/** Pages are the newest there are; everything else is named after its content. */
async function answer(request, pathname) {
  const cache = await caches.open(cacheName)
  const kept = await cache.match(pathname)
  if (kept !== undefined && request.mode !== 'navigate') return kept
  try {
    return await fetch(request)
  } catch (error) {
    if (kept !== undefined) return kept
    throw error
  }
}
