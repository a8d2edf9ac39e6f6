import { parseOptions, usage } from './options.ts'
import { runTour } from './tour.ts'

const options = parseOptions(process.argv.slice(2))
if (typeof options === 'string') {
  process.stderr.write(`${options}\n\n${usage}`)
  process.exitCode = 2
} else if (options.wantsHelp) {
  process.stdout.write(usage)
} else {
  process.exitCode = await runTour(options)
}
