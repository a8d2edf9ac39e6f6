import { Center, Loader } from '@mantine/core'
import { type ReactElement, Suspense, useState } from 'react'

import { isPerson, type PersonId, personName } from '../warehouse/people.ts'
import { Failure } from './failure.tsx'
import { HoldfastProvider } from './hooks.ts'
import { type Device, openDevice } from './open-device.ts'
import { SessionProvider } from './session.tsx'
import { SignIn } from './sign-in.tsx'
import { Stockroom } from './stockroom.tsx'

const storageKey = 'stockroom:person'

/** A page beside others of other people is told whose it is by its address. */
const person = new URLSearchParams(location.search).get('as') ?? localStorage.getItem(storageKey)

interface Open {
  readonly person: PersonId
  readonly device: Device
}

/** Opened once, outside of components: StrictMode renders those twice. */
const atFirst: Open | null = isPerson(person) ? { person, device: openDevice(person) } : null

/** The whole app: somebody's warehouse, or the way in. */
export function App(): ReactElement {
  const [open, setOpen] = useState(atFirst)
  if (open === null) {
    const enter = (chosen: PersonId): void => {
      localStorage.setItem(storageKey, chosen)
      setOpen({ person: chosen, device: openDevice(chosen) })
    }
    return <SignIn onChoose={enter} />
  }
  const signOut = async (): Promise<void> => {
    localStorage.removeItem(storageKey)
    setOpen(null)
    await open.device.signOut()
  }
  return (
    <Failure>
      <HoldfastProvider client={open.device.db} labels={labels} locale="en-GB">
        <SessionProvider session={{ ...open, signOut }}>
          <Suspense fallback={<Opening />}>
            <Stockroom />
          </Suspense>
        </SessionProvider>
      </HoldfastProvider>
    </Failure>
  )
}

const labels = {
  // Nobody pauses by hand here, so whoever goes on has signed in again.
  status: { resume: 'Sign in again' },
  person: (account: string) => personName(account).split(' ')[0] ?? account,
  collection: (name: string) => (name === 'items' ? 'Item' : 'Movement'),
}

function Opening(): ReactElement {
  return (
    <Center h="100%">
      <Loader aria-label="Opening" />
    </Center>
  )
}
