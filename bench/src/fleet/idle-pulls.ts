/** A device of a fleet, and where it asks. */
export interface Puller {
  readonly port: number
  readonly token: string
  readonly id: string
}

async function pull({ port, token, id }: Puller, since: string): Promise<{ cursor: string; more: boolean }> {
  const response = await fetch(`http://127.0.0.1:${port}/sync/pull`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'holdfast-device': id,
      'holdfast-schema': '1',
      'content-type': 'application/json',
    },
    body: JSON.stringify(since === '' ? { limit: 1_000 } : { since, limit: 1_000 }),
  })
  if (response.status !== 200)
    throw new Error(`a pull was answered ${response.status}: ${await response.text()}`)
  // Our own server.
  return (await response.json()) as { cursor: string; more: boolean }
}

/** Brings every device to the end of its feed; gives their cursors. */
export function pullToTheEnd(pullers: readonly Puller[]): Promise<readonly string[]> {
  return inTurn(pullers, async (puller) => {
    let page = await pull(puller, '')
    while (page.more) page = await pull(puller, page.cursor)
    return page.cursor
  })
}

/** Each device asks so many times, and there is nothing new. */
export async function pullNothing(
  pullers: readonly Puller[],
  cursors: readonly string[],
  times: number,
): Promise<void> {
  for (let time = 0; time < times; time++)
    await inTurn(pullers, (puller, n) => pull(puller, cursors[n] ?? ''))
}

const atOnce = 32

async function inTurn<Result>(
  pullers: readonly Puller[],
  work: (puller: Puller, n: number) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = []
  for (let from = 0; from < pullers.length; from += atOnce)
    results.push(
      ...(await Promise.all(pullers.slice(from, from + atOnce).map((puller, n) => work(puller, from + n)))),
    )
  return results
}
