import type { Logger } from './engine.ts'

/** The host's logger, whose failures cost nothing but their line: neither what it throws nor what it rejects later. Rules: OP-1. */
export function safeLogger(logger: Logger | undefined): Logger | undefined {
  if (!logger) return undefined
  const safely =
    (level: keyof Logger): Logger['info'] =>
    (fields, message) => {
      const tell = async (): Promise<void> => logger[level](fields, message)
      tell().catch(() => undefined)
    }
  return { info: safely('info'), warn: safely('warn'), error: safely('error') }
}
