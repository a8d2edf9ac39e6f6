export { defineSchema } from '@holdfast/core'
export { openBrowserClient } from '@holdfast/client/browser'
