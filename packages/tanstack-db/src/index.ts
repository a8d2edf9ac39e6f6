export {
  type CollectionName,
  type CollectionRow,
  type HoldfastCollectionConfig,
  holdfastCollectionOptions,
  type HoldfastCollectionOptions,
  type HoldfastUtils,
  type PendingTransaction,
} from './collection-options.ts'
