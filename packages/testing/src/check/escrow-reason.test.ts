import { expect, test } from 'vitest'

import { escrowReason } from './escrow-reason.ts'
import { type GivenHistory, givenHistory } from './given-history.ts'

const scopes = [{ literals: ['site:', ''], fields: ['site'] }]
const checker = escrowReason({ items: { references: {}, unique: [], scopes } })

/** An item in the north, where ann is, and her edit of it. */
function givenEdit(): GivenHistory {
  return givenHistory()
    .add({ kind: 'identity', atMs: 0, disk: 'd1', device: 'D1', user: 'ann' })
    .add({ kind: 'grants', atMs: 0, user: 'ann', scopes: ['site:north'] })
    .line({ op: 'create', user: 'ben', device: 'D2', mutation: 'x1', after: { site: 'north' } })
    .write(1, { changes: { name: 'Lamp' } })
    .send(1)
}

function escrowed(history: GivenHistory): readonly string[] {
  return history.rule(1, { status: 'rejected', op: 'none', code: 'ESCROWED' }).found(checker)
}

test('[SIM-104] what goes to escrow though its author lost nothing', () => {
  expect(escrowed(givenEdit())).toEqual([
    'm1 of D1 went to escrow, but ann lost neither a scope nor sight of items/r1',
  ])
})

test('[SIM-104] legal: a grant ended, or the record was moved', () => {
  expect(escrowed(givenEdit().add({ kind: 'grants', atMs: 0, user: 'ann', scopes: [] }))).toEqual([])
  const moved = { before: { site: 'north' }, after: { site: 'south' }, user: 'ben', device: 'D2' }
  expect(escrowed(givenEdit().line({ ...moved, mutation: 'x2' }))).toEqual([])
})

test('[SIM-104] legal: a disk is as it was earlier, or the server is', () => {
  const lost = { kind: 'device-lost', atMs: 0, disk: 'd1', cause: 'backup', durability: 'full' } as const
  expect(escrowed(givenEdit().add({ ...lost, entries: [], back: [] }))).toEqual([])
  expect(escrowed(givenEdit().add({ kind: 'server-restored', atMs: 0, auditN: 0, forgotten: [] }))).toEqual(
    [],
  )
})
