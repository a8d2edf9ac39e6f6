export { type FaultProxy, type FaultProxyOptions, openFaultProxy } from './chaos/fault-proxy.ts'
export {
  type FaultPlan,
  type ProxyExchange,
  type ProxyFault,
  type SeededFaultOptions,
  seededFaults,
  type StruckFaults,
} from './chaos/proxy-fault.ts'
export type { RequestHead } from './chaos/request-frames.ts'
