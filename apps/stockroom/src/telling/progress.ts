import cliProgress from 'cli-progress'

/** A bar on the line where the cursor is. */
export interface ProgressBar {
  /** How much is done of the total. */
  update(done: number): void
  /** Takes the bar away. */
  stop(): void
}

/** A bar behind `label`; without a label nothing is shown. */
export function progressBar(label: string | undefined, total: number): ProgressBar {
  if (label === undefined) return { update: () => undefined, stop: () => undefined }
  const bar = new cliProgress.SingleBar({
    format: `${label}{bar}  {percentage} %`,
    barCompleteChar: '━',
    barIncompleteChar: '─',
    barsize: 20,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stdout,
  })
  bar.start(total, 0)
  return { update: (done) => bar.update(Math.min(done, total)), stop: () => bar.stop() }
}
