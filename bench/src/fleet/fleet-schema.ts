import { collection, counter, defineSchema, text } from '@holdfast/core'

/** What phones in a warehouse write; every warehouse is a scope. */
export const fleetSchema = defineSchema({
  version: 1,
  collections: {
    counts: collection({
      fields: { warehouse: text(), sku: text(), stock: counter(), note: text() },
      scope: 'warehouse:{warehouse}',
    }),
  },
})

/** Devices that share a warehouse. */
export const devicesPerWarehouse = 25
