let isIgnored = false

/** Whoever reads what is written may go: the command goes on, and what it writes is lost. Repeating is harmless. Rules: OP-24. */
export function ignoreClosedOutput(): void {
  if (isIgnored) return
  isIgnored = true
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
}
