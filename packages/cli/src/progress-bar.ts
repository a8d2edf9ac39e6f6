import cliProgress from 'cli-progress'

/** How far a long command is, on stderr so that its report can go elsewhere. */
export interface ProgressBar {
  /** `share` from 0 to 1, and what has come of it so far. */
  update(share: number, text: string): void
  /** A line of its own, above a bar. */
  say(text: string): void
  /** Takes the bar away. */
  stop(): void
}

/** Share of the whole between two plain lines. */
const lineEvery = 0.25

/** A bar where somebody watches; into a pipe a plain line now and then. */
export function progressBar(stream: NodeJS.WriteStream): ProgressBar {
  return stream.isTTY === true ? drawnBar(stream) : plainLines(stream)
}

function drawnBar(stream: NodeJS.WriteStream): ProgressBar {
  const bar = new cliProgress.SingleBar({
    format: '{bar}  {percentage} %  {text}',
    barCompleteChar: '━',
    barIncompleteChar: '─',
    barsize: 20,
    hideCursor: true,
    clearOnComplete: true,
    stream,
  })
  let [percent, about] = [0, '']
  const draw = (): void => bar.start(100, percent, { text: about })
  draw()
  return {
    update: (share, text) => {
      percent = Math.min(100, Math.floor(share * 100))
      about = text
      bar.update(percent, { text })
    },
    say: (text) => {
      // A bar is taken away from where it was begun, which must be below what is said.
      bar.stop()
      stream.write(`${text}\n`)
      draw()
    },
    stop: () => bar.stop(),
  }
}

function plainLines(stream: NodeJS.WriteStream): ProgressBar {
  let next = lineEvery
  return {
    update: (share, text) => {
      if (share < next || share >= 1) return
      stream.write(`${Math.floor(share * 100)} %  ${text}\n`)
      while (next <= share) next += lineEvery
    },
    say: (text) => void stream.write(`${text}\n`),
    stop: () => undefined,
  }
}
