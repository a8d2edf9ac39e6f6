'use client'

export { Inspector, type InspectorProps } from './inspector.tsx'
export {
  createNetworkConditions,
  type NetworkConditions,
  type NetworkSettings,
} from './network-conditions.ts'
