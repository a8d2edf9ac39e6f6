/** Wraps `tell`: items that are equal to those told before are the same objects, and an equal list is not told again. Rules: RE-2. */
export function keepIdentities<Item>(
  idOf: (item: Item) => string,
  tell: (items: readonly Item[]) => void,
): (items: readonly Item[]) => void {
  let before: ReadonlyMap<string, { readonly item: Item; readonly text: string }> | undefined
  let told: readonly Item[] = []
  return (items) => {
    const known = new Map<string, { readonly item: Item; readonly text: string }>()
    const kept = items.map((item) => {
      const text = JSON.stringify(item)
      const old = before?.get(idOf(item))
      const same = old !== undefined && old.text === text ? old : { item, text }
      known.set(idOf(item), same)
      return same.item
    })
    const isSame =
      before !== undefined && kept.length === told.length && kept.every((item, n) => item === told[n])
    before = known
    if (isSame) return
    told = kept
    tell(kept)
  }
}
