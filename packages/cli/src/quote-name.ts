/** An identifier as SQL wants it; names come out of a database's own list of tables. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
