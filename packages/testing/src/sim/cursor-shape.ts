/** What the text of a cursor holds. The server writes it, in its pull/cursor.ts; devices never look into it, a run does. */
export interface CursorShape {
  /** Epoch. */
  readonly e: string
  /** Position. */
  readonly p: number
  readonly s: readonly string[] | '*'
  /** Scopes that are further. */
  readonly a?: Readonly<Record<string, number>>
  /** Where the server was when reading from the very start began. */
  readonly f?: number
  /** Of the history that made the newest position in it. */
  readonly t?: string
  /** In the middle of a snapshot: where it stands, and what it is added to. */
  readonly at?: unknown
  readonly b?: { readonly p: number } | null
}

/** Reads a cursor of our own server. */
export function readCursorShape(text: string): CursorShape {
  return JSON.parse(Buffer.from(text, 'base64url').toString()) as CursorShape
}
