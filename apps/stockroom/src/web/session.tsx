import { createContext, type ReactElement, type ReactNode, useContext } from 'react'

import type { PersonId } from '../warehouse/people.ts'
import type { Device } from './open-device.ts'

/** Who works on this device, and the device. */
export interface Session {
  readonly person: PersonId
  readonly device: Device
  signOut(): Promise<void>
}

const sessionContext = createContext<Session | null>(null)

/** The session of everything below. */
export function useSession(): Session {
  const session = useContext(sessionContext)
  if (session === null) throw new Error('nobody is signed in')
  return session
}

export function SessionProvider(props: {
  readonly session: Session
  readonly children: ReactNode
}): ReactElement {
  return <sessionContext.Provider value={props.session}>{props.children}</sessionContext.Provider>
}
