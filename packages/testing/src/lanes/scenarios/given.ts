import { sites } from '../lane-schema.ts'
import type { Stage } from '../stage.ts'

/** Ids of the records of scenarios. */
export const lamp = '00000000-0000-7000-8000-00000000000a'
export const desk = '00000000-0000-7000-8000-00000000000b'
export const sofa = '00000000-0000-7000-8000-00000000000c'
export const line = '00000000-0000-7000-8000-000000000001'

/** Users by device: each sees both sites. */
export const one: readonly (readonly string[])[] = [sites]
export const two: readonly (readonly string[])[] = [sites, sites]
export const three: readonly (readonly string[])[] = [sites, sites, sites]

/** What a lamp is when it is made. */
export const lampValues = {
  site: 't0a',
  name: 'Lamp',
  place: 'hall',
  stock: 10,
  tags: ['old'],
  notes: 'one\n\ntwo',
  best: 1,
} as const

/** The first device makes a lamp, and every device has it. */
export async function givenLamp(stage: Stage): Promise<void> {
  await stage.on(0, 'insert', (db) => db.items.insert({ id: lamp, ...lampValues, tags: ['old'] }))
  await stage.rest()
}

/** A lamp and a desk, on every device. */
export async function givenLampAndDesk(stage: Stage): Promise<void> {
  await givenLamp(stage)
  await stage.on(0, 'insert', (db) => db.items.insert({ id: desk, site: 't0a', name: 'Desk', stock: 1 }))
  await stage.rest()
}
