/** Where the server keeps everything: SQLite now; the seam leaves room for others. Made by `sqliteStore`. */
export interface Store {
  readonly kind: string
}
