import type { NetworkSettings } from '@holdfast/react/inspector'
import { useSyncExternalStore } from 'react'

import { useSession } from './session.tsx'

/** How bad this device's network is made. */
export function useNetwork(): NetworkSettings {
  const { conditions } = useSession().device
  return useSyncExternalStore(
    (listener) => conditions.subscribe(listener),
    () => conditions.settings(),
  )
}
