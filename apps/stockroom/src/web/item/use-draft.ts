import { useState } from 'react'

import type { Item } from '../queries.ts'

/** What is typed over an item. */
export type Draft = Partial<Pick<Item, 'price' | 'location' | 'minimum' | 'notes'>>

/** What is typed over an item, until it is stored. */
export interface DraftHandle {
  readonly draft: Draft
  /** The item as the form shows it. */
  readonly shown: Item
  readonly edit: (change: Draft) => void
  readonly drop: () => void
  /**
   * Has the draft written, with what stood in its fields before they were typed over. It is left only once it is stored: what
   * could not be is still there.
   */
  readonly save: (write: (draft: Draft, seen: Draft) => Promise<unknown>) => void
}

interface Saved {
  readonly values: Draft
  /** Of before: what was saved is shown until the next one comes. */
  readonly over: Item
}

/** What somebody else changes meanwhile shows at once, unless it is being typed over; then it is met when that is saved. */
export function useDraft(item: Item): DraftHandle {
  const [draft, setDraft] = useState<Draft>({})
  const [seen, setSeen] = useState<Draft>({})
  const [saved, setSaved] = useState<Saved | null>(null)
  if (saved !== null && saved.over !== item) setSaved(null)
  const stands = { ...item, ...saved?.values }
  return {
    draft,
    shown: { ...stands, ...draft },
    edit: (change) => {
      setDraft({ ...draft, ...change })
      setSeen({ ...only(stands, change), ...seen })
    },
    drop: () => {
      setDraft({})
      setSeen({})
    },
    save: (write) => {
      // What is typed into a field from now on is typed over what is being stored.
      setSeen({ ...seen, ...draft })
      write(draft, seen).then(
        () => {
          setDraft((now) => without(now, draft))
          setSaved({ values: draft, over: item })
        },
        // The mutation says why.
        () => setSeen((now) => ({ ...now, ...seen })),
      )
    },
  }
}

/** The fields of `item` that `change` has. */
function only(item: Item, change: Draft): Draft {
  return Object.fromEntries(Object.entries(item).filter(([name]) => name in change))
}

/** A draft without what it has in common with another. */
function without(draft: Draft, other: Draft): Draft {
  const gone = new Map<string, unknown>(Object.entries(other))
  return Object.fromEntries(Object.entries(draft).filter(([name, value]) => gone.get(name) !== value))
}
