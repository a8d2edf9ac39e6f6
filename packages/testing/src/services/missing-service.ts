/** A server that cannot be had on this machine. The message is one line: what is missing and how to get it. */
export class MissingService extends Error {
  override readonly name = 'MissingService'
}

/**
 * Starts a server, or says in one line why it cannot be had and gives undefined, so that its tests are skipped. With
 * CI=true what is missing is an error: there nothing may be skipped unseen.
 */
export async function startUnlessMissing<Server>(start: () => Promise<Server>): Promise<Server | undefined> {
  try {
    return await start()
  } catch (error) {
    const isSkipped = error instanceof MissingService && process.env['CI'] !== 'true'
    if (!isSkipped) throw error
    process.stderr.write(`${error.message}\n`)
    return undefined
  }
}
