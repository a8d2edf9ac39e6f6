/** Calls `visit` with every number of ranges such as "18-19,21", in the order written. */
export function eachCovered(covers: string, visit: (number: number) => void): void {
  for (const part of covers.split(',')) {
    const dash = part.indexOf('-')
    const first = Number(dash < 0 ? part : part.slice(0, dash))
    const last = dash < 0 ? first : Number(part.slice(dash + 1))
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) return
    for (let number = first; number <= last; number++) visit(number)
  }
}
