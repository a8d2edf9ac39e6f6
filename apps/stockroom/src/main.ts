import { parseOptions, usage } from './options.ts'
import { runTour } from './tour.ts'
import { runWarehouse } from './warehouse/run-warehouse.ts'

// Whoever reads the output may stop reading, as `head` does; then there is nobody left to play for.
process.stdout.on('error', () => process.exit(1))

const options = parseOptions(process.argv.slice(2))
if (typeof options === 'string') {
  process.stderr.write(`${options}\n\n${usage}`)
  process.exitCode = 2
} else if (options.wantsHelp) {
  process.stdout.write(usage)
} else {
  process.exitCode = await (options.isTour ? runTour(options) : runWarehouse(options))
}
