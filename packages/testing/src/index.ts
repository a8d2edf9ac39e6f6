export type { Fault, FaultRule, FaultyRequest } from './fake-server/faults.ts'
export { FaultScript } from './fake-server/faults.ts'
export { createFakeServer, type FakeServer, type FakeServerOptions } from './fake-server/fake-server.ts'
export { SeededRandom } from './seeded-random.ts'
export {
  createVirtualEnvironment,
  type VirtualEnvironment,
  type VirtualOptions,
} from './virtual-environment.ts'
export { type FaultyStorage, faultyStorage, type StatementFate } from './faulty-storage.ts'
