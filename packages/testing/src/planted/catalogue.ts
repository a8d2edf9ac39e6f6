import { clientApplyPlants } from './client-apply.ts'
import { clientEnginePlants } from './client-engine.ts'
import { clientOutboxPlants } from './client-outbox.ts'
import { corePlants } from './core.ts'
import { escrowPlants } from './escrow.ts'
import type { Plant } from './plant.ts'
import { serverPullPlants } from './server-pull.ts'
import { serverPushPlants } from './server-push.ts'

/** Every planted bug, by area. None of them is part of what is shipped. Rules: SIM-50, SIM-51. */
export const catalogue: readonly Plant[] = [
  ...corePlants,
  ...clientOutboxPlants,
  ...clientApplyPlants,
  ...clientEnginePlants,
  ...serverPushPlants,
  ...serverPullPlants,
  ...escrowPlants,
]
