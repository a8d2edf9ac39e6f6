/** Resolves at the first signal to stop. Later ones change nothing: the drain has a bound. */
export function nextSignal(): Promise<void> {
  return new Promise((stop) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop())
  })
}
