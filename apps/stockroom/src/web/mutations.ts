import { type LostValue, systemEnvironment } from '@holdfast/client'

import type { PersonId } from '../warehouse/people.ts'
import type { Warehouse } from './open-device.ts'

/** Why stock changes. */
export type MovementKind = 'received' | 'picked' | 'counted'

/** Stock that comes or goes, and the note of it: both or neither, here and everywhere. */
export async function move(
  db: Warehouse,
  movement: {
    readonly item: string
    readonly kind: MovementKind
    readonly amount: number
    readonly person: PersonId
  },
): Promise<void> {
  const { item, amount } = movement
  const at = new Date(systemEnvironment.now()).toISOString()
  await db.transaction(async (tx) => {
    await tx.items.increment(item, { stock: amount })
    await tx.movements.insert({ ...movement, at })
  })
}

/** What one types into an item's form. */
export interface ItemEdit {
  readonly name?: string
  readonly price?: string
  readonly location?: string
  readonly minimum?: number
  readonly notes?: string
}

/**
 * Only what was changed travels, so that two people who change different fields never meet. `seen` is what stood there
 * before it was typed over: what somebody else wrote since is met and not overwritten.
 */
export async function editItem(db: Warehouse, item: string, edit: ItemEdit, seen: ItemEdit): Promise<void> {
  await db.items.update(item, edit, seen)
}

/** A photo and what the item says of it. Both are on this device once this is over; the bytes are sent on their own. */
export async function putPhoto(db: Warehouse, item: string, photo: Blob): Promise<void> {
  await db.items.update(item, { photo: await db.attachments.add(photo, { mediaType: photo.type }) })
}

/** The item has no photo any more; its history has the one it had. */
export async function removePhoto(db: Warehouse, item: string): Promise<void> {
  await db.items.update(item, { photo: null })
}

/** An item that lies nowhere any more. Where somebody has edited it meanwhile, a person is asked whether it stays. */
export async function removeItem(db: Warehouse, item: string): Promise<void> {
  await db.items.delete(item)
}

/** A value that lost to another one comes back by an edit like any other, which the history shows too. */
export async function bringBack(db: Warehouse, item: string, lost: LostValue): Promise<void> {
  await db.items.restore(item, lost)
}

/** Tags that came and went; those of others stay. */
export async function retag(
  db: Warehouse,
  item: string,
  change: { readonly before: readonly string[]; readonly after: readonly string[] },
): Promise<void> {
  const { before, after } = change
  const added = after.filter((tag) => !before.includes(tag))
  const removed = before.filter((tag) => !after.includes(tag))
  if (added.length > 0) await db.items.add(item, { tags: added })
  if (removed.length > 0) await db.items.remove(item, { tags: removed })
}
