import type { Values } from '@holdfast/core'

import { listOf, readObject, textIn } from '../server-view.ts'

/** An item, and all that was ever written to it, as the server tells any HTTP client. */
export interface ItemOnServer {
  readonly id: string
  readonly row: Values
  /** Newest first. */
  readonly history: readonly Values[]
  readonly movements: readonly Values[]
}

/** Looks at an item by its number over plain REST, with a bearer token and no device; null when it is not there. */
export async function itemOnServer(url: string, sku: string): Promise<ItemOnServer | null> {
  const signIn = await fetch(`${url}/sign-in?person=office`, { method: 'POST' })
  const token = textIn(readObject(await signIn.json()), 'token')
  const get = async (path: string): Promise<Values> => {
    const response = await fetch(`${url}/api${path}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    if (!response.ok) throw new Error(`${path}: ${response.status}`)
    return readObject(await response.json())
  }
  const [row] = listOf(await get(`/records/items?sku=${sku}`), 'records')
  if (row === undefined) return null
  const id = textIn(row, 'id')
  return {
    id,
    row,
    history: listOf(await get(`/records/items/${id}/history`), 'history'),
    movements: listOf(await get(`/records/movements?item=${id}`), 'records'),
  }
}
