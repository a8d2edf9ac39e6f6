import type { DeadLetter } from '@holdfast/client'
import { useMemo } from 'react'

import { keepIdentities } from '../store/keep-identities.ts'
import { emptyList, type LiveState, liveStateOf } from './live-list.ts'
import { type StartOnClient, useSource } from './use-source.ts'

/** Dead letters, the oldest first. */
export interface DeadLettersResult extends LiveState {
  readonly letters: readonly DeadLetter[]
}

const start: StartOnClient<readonly DeadLetter[]> = (client) => (tell) =>
  client.deadLetters.watch(keepIdentities(({ id }) => id, tell))

/** What the server refused or tried in vain. Retry, edit or discard it with `client.deadLetters`. Rules: RE-6. */
export function useDeadLetters(): DeadLettersResult {
  const snapshot = useSource('dead letters', start)
  return useMemo(() => ({ letters: snapshot.value ?? emptyList, ...liveStateOf(snapshot) }), [snapshot])
}
