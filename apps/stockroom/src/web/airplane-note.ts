/** Where pages note that their device is in airplane mode: the service worker, which has the real network, would not know. */
export const planeCache = 'stockroom airplane'

/** Notes it, or that it is over. */
export async function noteAirplane(device: string, isOn: boolean): Promise<void> {
  const notes = await caches.open(planeCache)
  if (isOn) await notes.put(`/airplane/${device}`, new Response())
  else await notes.delete(`/airplane/${device}`)
}

/** Whether that is noted. */
export async function isInAirplane(device: string): Promise<boolean> {
  const notes = await caches.open(planeCache)
  return (await notes.match(`/airplane/${device}`)) !== undefined
}
