import type { Logger } from '@holdfast/server'

/** A JSON line on stderr for everything. */
export function lineLogger(): Logger {
  const write =
    (level: string) =>
    (fields: object, message: string): void =>
      void process.stderr.write(
        `${JSON.stringify({ level, time: new Date().toISOString(), message, ...told(fields) })}\n`,
      )
  return { info: write('info'), warn: write('warn'), error: write('error') }
}

/** Failures of the server itself are always shown: nobody else would hear of them. */
export function failureLogger(): Logger {
  return { ...lineLogger(), info: () => undefined, warn: () => undefined }
}

/** An Error is no JSON by itself. */
function told(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => [
      name,
      value instanceof Error ? (value.stack ?? value.message) : value,
    ]),
  )
}
