/** Who works here. Their ids are the accounts that the server knows. */
export const people = {
  ana: { name: 'Ana Sousa', role: 'Warehouse, aisles A to M', color: 'teal' },
  ben: { name: 'Ben Okafor', role: 'Warehouse, aisles N to Z', color: 'orange' },
  office: { name: 'Ida Holm', role: 'Office', color: 'violet' },
} as const satisfies Record<string, { name: string; role: string; color: string }>

/** An account. */
export type PersonId = keyof typeof people

/** Whether a text is an account. */
export function isPerson(id: unknown): id is PersonId {
  return typeof id === 'string' && Object.hasOwn(people, id)
}

/** The name of an account; what is not known stays as it is. */
export function personName(id: string | null): string {
  return isPerson(id) ? people[id].name : (id ?? 'The server')
}

/** Everybody, in the order they are shown. */
export const everybody: readonly PersonId[] = Object.keys(people).filter(isPerson)
